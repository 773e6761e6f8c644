"""Files of experiments: what a file may not say is refused by file and field."""

from pathlib import Path

import pytest

from cqox.chaos.experiments import (
    FAULTS,
    PROBES,
    ExperimentInvalid,
    Probe,
    Target,
    read_experiment,
    read_experiments,
)

FOLDER = Path(__file__).parents[3] / "deploy" / "chaos" / "experiments"

GOOD = """
[title]
en = "An engine is killed"
ja = "エンジンを強制終了する"
[hypothesis]
en = "Nothing is lost."
ja = "何も失われない。"
[steady_state]
[[steady_state.probes]]
kind = "goodput"
at_least = 1
[[faults]]
kind = "process-kill"
target = "engine"
seconds = 3
[[during]]
kind = "statuses"
[after]
healed_within = 10
"""


def written(folder: Path, text: str, name: str = "engine-killed.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_becomes_an_experiment_with_the_defaults_of_what_it_leaves_out(tmp_path: Path) -> None:
    found = read_experiment(written(tmp_path, GOOD))
    assert (found.name, found.title.ja, found.needs.engines) == ("engine-killed", "エンジンを強制終了する", 2)
    assert found.steady_state.seconds == 4.0
    assert found.steady_state.probes == (Probe(kind="goodput", parameters={"at_least": 1.0}),)
    (fault,) = found.faults
    assert fault.target == Target(component="engine", mode="one")
    assert (fault.seconds, found.fault_seconds) == (3.0, 3.0)
    assert sum(found.load.mix.values()) == pytest.approx(1)


def test_a_link_is_read_as_its_two_ends(tmp_path: Path) -> None:
    text = GOOD.replace('"process-kill"', '"network-delay"').replace('"engine"', '"gateway->engine"\nlatency = 1')
    (fault,) = read_experiment(written(tmp_path, text)).faults
    assert (fault.target.source, fault.target.component, fault.target.name) == ("gateway", "engine", "gateway->engine")
    assert fault.parameters == {"latency": 1.0, "jitter": 0.0}


@pytest.mark.parametrize(
    ("old", "new", "field", "said"),
    [
        (
            "[steady_state]\n[[steady_state.probes]]",
            "[other]\n[[other.probes]]",
            "steady_state",
            "needs a steady state",
        ),
        ('[[steady_state.probes]]\nkind = "goodput"\nat_least = 1', "", "steady_state.probes", "at least one probe"),
        ("seconds = 3", "seconds = 3\nseverity = 2", "faults[0].severity", "no such key"),
        ("seconds = 3", "secnds = 3", "faults[0].seconds", "missing"),
        ("seconds = 3", "seconds = 0", "faults[0].seconds", "from 0.1 to 3600"),
        ("seconds = 3", "seconds = true", "faults[0].seconds", "not True"),
        ('"process-kill"', '"process-kil"', "faults[0].kind", "did you mean process-kill?"),
        ('target = "engine"', 'target = "everything"', "faults[0].target", "expected one of gateway, engine"),
        ('target = "engine"', 'target = "gateway->engine"', "faults[0].target", "cannot break gateway->engine"),
        ('target = "engine"', 'target = "postgres"', "faults[0].target", "add it to needs.parts"),
        ('kind = "statuses"', 'kind = "status"', "during[0].kind", "did you mean statuses?"),
        ('[[during]]\nkind = "statuses"', "", "during", "at least one probe"),
        ("at_least = 1", "at_least = 1.5", "steady_state.probes[0].at_least", "from 0 to 1"),
        ("healed_within = 10", "", "after.healed_within", "missing"),
        ('ja = "何も失われない。"', "", "hypothesis.ja", "missing"),
        ("[after]", "[load]\nmix = { analysis = 0.5 }\n[after]", "load.mix", "sum to 1"),
        ("[after]", '[needs]\nparts = ["mysql"]\n[after]', "needs.parts", "'mysql'"),
        ("[after]", "[needs]\nengines = 9\n[after]", "needs.engines", "from 1 to 5"),
        ("[title]", "titel = 1\n[title]", "titel", "did you mean title?"),
    ],
)
def test_what_is_wrong_is_refused_by_file_and_field(tmp_path: Path, old: str, new: str, field: str, said: str) -> None:
    assert old in GOOD
    file = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ExperimentInvalid) as caught:
        read_experiment(file)
    assert (caught.value.file, caught.value.field) == (file, field)
    assert said in caught.value.reason
    assert str(file) in str(caught.value)


def test_a_file_that_is_no_toml_or_has_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentInvalid, match="no TOML file"):
        read_experiment(written(tmp_path, "[[["))
    with pytest.raises(ExperimentInvalid, match="no TOML file"):
        read_experiment(tmp_path / "absent.toml")
    with pytest.raises(ExperimentInvalid, match="lower case"):
        read_experiment(written(tmp_path, GOOD, "Engine killed.toml"))


def test_a_folder_without_experiments_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentInvalid, match="no experiment in this folder"):
        read_experiments(tmp_path)


def test_every_experiment_of_this_project_can_be_read() -> None:
    found = read_experiments(FOLDER)
    assert [each.name for each in found] == sorted(file.stem for file in FOLDER.glob("*.toml"))


def test_every_kind_has_a_phrase_and_every_default_is_within_its_bounds() -> None:
    for kinds in (FAULTS, PROBES):
        for kind, about in kinds.items():
            assert about.about, kind
            for parameter in about.parameters.values():
                if parameter.default is not None and parameter.minimum is not None:
                    assert float(parameter.default) >= parameter.minimum


def test_every_runbook_is_a_heading_of_the_page_of_operations() -> None:
    page = (FOLDER.parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    anchors = {line.lstrip("# ").lower().replace(" ", "-") for line in page.splitlines() if line.startswith("#")}
    runbooks = {each.runbook for each in read_experiments(FOLDER)} - {""}
    assert len(runbooks) >= 4
    assert runbooks <= anchors


def test_every_kind_of_fault_is_in_an_experiment_and_there_are_at_least_thirty() -> None:
    found = read_experiments(FOLDER)
    assert len(found) >= 30
    assert {fault.kind for each in found for fault in each.faults} == set(FAULTS)
