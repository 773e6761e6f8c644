from dataclasses import replace

import pytest

from tests.studies.catalog import STUDIES
from tests.studies.running import code_digest, run_all, run_once
from tests.studies.study import Study

VERDICTS = {"GO", "CANARY", "HOLD"}
_NAMES = {study.name for study in (*STUDIES[::5], *{study.family: study for study in STUDIES}.values())}
SOME = [study for study in STUDIES if study.name in _NAMES]
"""One of five, and one of every family; the slow suite has the others."""


def check(study: Study) -> None:
    record = run_once(study, 0)
    assert record["verdict"] in VERDICTS, record["reasons"]
    assert record["broken"] == []
    assert record["primary"] is not None
    # Only a primary whose design the data cannot show has no number, as a series whose weeks are words.
    assert isinstance(record["estimate"], float) or record["verdict"] == "HOLD", record["reasons"]


@pytest.mark.parametrize("study", SOME, ids=lambda study: study.name)
def test_a_study_is_answered_and_no_estimator_fails(study: Study) -> None:
    check(study)


@pytest.mark.slow
@pytest.mark.parametrize("study", [study for study in STUDIES if study not in SOME], ids=lambda study: study.name)
def test_every_other_study_is_answered_too(study: Study) -> None:
    check(study)


def test_a_run_is_repeated_by_its_number() -> None:
    first, again, other = (run_once(STUDIES[0], number) for number in (3, 3, 4))
    assert {**first, "seconds": 0} == {**again, "seconds": 0}
    assert first["estimate"] != other["estimate"]


def test_an_interval_that_holds_the_truth_is_counted_as_covering() -> None:
    study = STUDIES[0]
    assert run_once(replace(study, truth=1e6), 0)["covered"] is False
    assert run_once(replace(study, truth=run_once(study, 0)["estimate"]), 0)["covered"] is True
    assert run_once(replace(study, truth=None), 0)["covered"] is None


def test_a_refused_request_is_recorded_as_such() -> None:
    record = run_once(replace(STUDIES[0], mapping={"y": "score", "treatment": "no such column"}), 0)
    assert record["verdict"] == "ERROR"
    assert "no such column" in record["reasons"][0]


def test_an_option_that_does_not_exist_yet_is_left_out() -> None:
    study = replace(STUDIES[0], options={**STUDIES[0].options, "of_the_future": 1})
    assert run_once(study, 0)["verdict"] in VERDICTS


def test_runs_in_other_processes_are_those_of_this_one() -> None:
    study = STUDIES[0]
    found = sorted(run_all({study.name: [0, 1]}, jobs=2), key=lambda record: record["run"])
    assert [record["estimate"] for record in found] == [run_once(study, number)["estimate"] for number in (0, 1)]


def test_the_digest_of_the_code_is_the_same_until_the_code_changes() -> None:
    assert code_digest() == code_digest()
