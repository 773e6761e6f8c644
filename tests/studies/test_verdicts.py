from dataclasses import replace

import pytest
from statsmodels.stats.proportion import proportion_confint

from tests.studies.catalog import STUDIES
from tests.studies.verdicts import fails, rows, wilson

GOOD = next(study for study in STUDIES if study.kind == "good")
NULL = next(study for study in STUDIES if study.kind == "no effect")
COSTS = next(study for study in STUDIES if study.options.get("better") == "lower")


@pytest.mark.parametrize(("successes", "runs"), [(0, 400), (7, 40), (20, 400), (330, 400), (400, 400)])
def test_the_interval_is_that_of_statsmodels(successes: int, runs: int) -> None:
    expected = proportion_confint(successes, runs, alpha=0.01, method="wilson")
    assert wilson(successes, runs) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "successes", "failing"),
    [
        ("no effect", 20, False), ("no effect", 31, False), ("no effect", 32, True), ("harmful", 32, True),
        ("good", 400, False), ("good", 300, False), ("good", 299, True),
    ],
)  # fmt: skip
def test_a_study_fails_where_its_interval_lies_beyond_the_bound(kind: str, successes: int, failing: bool) -> None:
    assert fails(kind, *wilson(successes, 400)) is failing


def record(study, number: int, verdict: str, **other: object) -> dict[str, object]:
    return {
        "study": study.name, "run": number, "verdict": verdict, "estimate": 3.0, "standard_error": 1.0,
        "covered": number % 4 > 0, "warned": [], "failed": [], "ledger": {}, "caps": [], "findings": [], "broken": [],
        "reasons": [], "seconds": 0.5, **other,
    }  # fmt: skip


def test_a_row_has_the_shares_of_verdicts_and_what_stood_in_the_way() -> None:
    held = {"failed": ["overlap"], "ledger": {"contradicted": ["randomized"], "untested": ["no_interference"]}}
    capped = {"warned": ["tails"], "caps": ["unconfounded"], "findings": ["duplicates"]}
    records = [record(NULL, number, "GO") for number in range(6)]
    records += [record(NULL, 6, "HOLD", **held), record(NULL, 7, "HOLD", **held), record(NULL, 8, "CANARY", **capped)]
    records.append(record(NULL, 9, "CANARY"))
    (row,) = rows(STUDIES, records)
    assert row.study is NULL
    assert row.verdicts == {"GO": 0.6, "HOLD": 0.2, "CANARY": 0.2}
    assert row.fails
    assert row.coverage == 0.7
    assert row.ratio == 3.0
    assert dict(row.reasons) == {
        "fail: overlap": 0.2, "contradicted: randomized": 0.2, "warn: tails": 0.1, "caps: unconfounded": 0.1,
        "finding: duplicates": 0.1, "evidence": 0.1,
    }  # fmt: skip
    assert row.named == []


def test_what_most_reports_name_is_named_by_its_status() -> None:
    ledger = {"declared": ["randomized"], "untested": ["no_interference"], "supported": ["independent_units"]}
    records = [record(GOOD, number, "GO", ledger=ledger, findings=["duplicates"]) for number in range(3)]
    (row,) = rows(STUDIES, records)
    assert row.named == ["untested: no_interference", "declared: randomized", "finding: duplicates"]
    assert not row.fails


def test_no_rate_is_demanded_where_the_declaration_is_false() -> None:
    study = replace(NULL, name="false declaration: trends")
    (row,) = rows([study], [record(study, number, "GO") for number in range(400)])
    assert row.lower > 0.9
    assert not row.fails


def test_the_distance_is_counted_from_the_minimum_effect() -> None:
    (row,) = rows(STUDIES, [record(COSTS, 0, "GO", estimate=-9.0, standard_error=1.0)])
    assert row.ratio == -7.0


def test_a_refusal_is_named_and_an_estimator_that_fails_too() -> None:
    refused = {"study": GOOD.name, "run": 0, "verdict": "ERROR", "reasons": ["unknown option"], "seconds": 0.1}
    (row,) = rows(STUDIES, [refused, record(GOOD, 1, "GO", broken=["aipw"])])
    assert row.reasons == [("refused: unknown option", 0.5)]
    assert row.broken == ["aipw"]
