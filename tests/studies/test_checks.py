from tests.studies.catalog import STUDIES
from tests.studies.checks import checks
from tests.studies.test_verdicts import record

GOOD, SECOND, OTHER, BROKEN = (
    next(study for study in STUDIES if study.name == name)
    for name in ("trial of 400", "trial of 40", "block: 40 units", "sample ratio mismatch")
)


def test_size_is_that_in_good_studies_of_its_designs_and_power_that_in_the_others() -> None:
    records = [record(GOOD, number, "GO", failed=["balance"] if number == 0 else []) for number in range(20)]
    records += [record(SECOND, number, "GO") for number in range(20)]
    records += [record(OTHER, number, "GO") for number in range(20)]
    records += [record(BROKEN, number, "HOLD", failed=["balance"], findings=["copies"]) for number in range(3)]
    records += [record(BROKEN, number, "GO") for number in range(3, 10)]
    gate, finding = checks(STUDIES, records)
    assert (gate.name, gate.says, gate.good_runs, gate.size) == ("balance", "fails", 40, 0.025)
    assert gate.worst == ("trial of 400", 0.05)
    assert gate.others == [("sample ratio mismatch", 0.3)]
    assert (finding.name, finding.says, finding.good_runs, finding.size) == ("copies", "found", 40, 0.0)
    assert finding.worst is None


def test_warnings_and_contradictions_are_checks_of_their_own_and_a_rare_one_names_no_study() -> None:
    spoken = {"warned": ["tails"], "ledger": {"contradicted": ["randomized"], "untested": ["no_interference"]}}
    records = [record(BROKEN, number, "HOLD", **(spoken if number == 0 else {})) for number in range(30)]
    found = checks(STUDIES, records)
    assert [(each.says, each.name) for each in found] == [("contradicted", "randomized"), ("warns", "tails")]
    assert [each.size for each in found] == [None, None]
    assert [each.others for each in found] == [[], []]
