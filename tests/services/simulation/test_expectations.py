import json
from collections.abc import Callable
from typing import Any

import pytest

from cqox.chaos.simulation.world import World, simulate
from services.simulation.client import Answer
from services.simulation.expectations import Expectations

ASKED = {"dataset_id": "d", "mapping": {}, "options": {"seed": 1, "estimators": ["aipw"]}}
REPORT: dict[str, Any] = {
    "analysis_id": "a",
    "dataset_id": "d",
    "options": {"seed": 1},
    "estimates": [{"name": "aipw", "estimate": 2.0}],
    "provenance": {"stored": True},
}
PROBLEM = {"content-type": "application/problem+json", "retry-after": "1"}


def violations(check: Callable[[Expectations], object]) -> list[str]:
    async def main(world: World) -> None:
        check(Expectations(world))

    return [line.partition(": ")[2] for line in simulate(1, main).violations]


def problem(status: int, /, **fields: object) -> Answer:
    body = {"status": status, "detail": "why", **fields}
    return Answer(status=status, headers=PROBLEM, body=json.dumps(body).encode())


def test_answers_of_the_contract_in_time_are_fine() -> None:
    def check(expected: Expectations) -> None:
        assert expected.answered("read_job", Answer(status=200), seconds=1, most=2)
        assert not expected.answered("read_job", problem(503), seconds=1, most=2)
        assert expected.counts == {"read_job 200": 1, "read_job 503": 1}

    assert violations(check) == []


@pytest.mark.parametrize(
    ("answer", "seconds", "said"),
    [
        (problem(500), 1, "has status 500, which the contract does not name"),
        (problem(418), 1, "has status 418"),
        (Answer(status=200), 3, "took 3.000 s of 2.000 s"),
        (Answer(status=503, headers={"content-type": "text/html"}), 1, "an error without a problem"),
        (problem(503, status=200), 1, "a problem without its status or a detail"),
        (problem(503, detail=""), 1, "a problem without its status or a detail"),
        (Answer(status=503, headers={"content-type": PROBLEM["content-type"]}), 1, "nothing of when to come back"),
    ],
)
def test_answers_outside_of_the_contract_are_violations(answer: Answer, seconds: float, said: str) -> None:
    def check(expected: Expectations) -> None:
        if not answer.body and answer.headers.get("content-type") == PROBLEM["content-type"]:
            expected.answered("read_job", Answer(**{**vars_of(answer), "body": problem(503).body}), seconds=1, most=2)
        else:
            expected.answered("read_job", answer, seconds=seconds, most=2)

    found = violations(check)
    assert len(found) >= 1
    assert any(said in line for line in found), found


def vars_of(answer: Answer) -> dict[str, Any]:
    return {"status": answer.status, "headers": answer.headers, "body": answer.body}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dataset_id": "other"}, "answers"),
        ({"options": {"seed": 2}}, "answers"),
        ({"estimates": [{"name": "ols", "estimate": 2.0}]}, "answers"),
        ({"analysis_id": "b"}, "two reports"),
        ({"estimates": [{"name": "aipw", "estimate": 2.5}]}, "other numbers"),
        ({"decision": {"verdict": "GO"}}, "other numbers"),
    ],
)
def test_a_report_must_belong_to_its_request_and_keep_its_numbers(change: dict[str, Any], said: str) -> None:
    def check(expected: Expectations) -> None:
        expected.reported(ASKED, REPORT)
        assert list(expected.reports) == ["a"]
        expected.reported(ASKED, REPORT | change)

    assert said in violations(check)[0]


def test_a_report_that_is_not_stored_is_no_promise() -> None:
    def check(expected: Expectations) -> None:
        expected.reported(ASKED, REPORT | {"provenance": {"stored": False}})
        assert not expected.reports

    assert violations(check) == []


def test_what_is_read_is_what_was_asked_for() -> None:
    def check(expected: Expectations) -> None:
        expected.reported(ASKED, REPORT)
        expected.read("a", REPORT)
        expected.read("b", REPORT)

    assert violations(check) == ["the report a was read as b"]


def test_one_key_is_one_job_and_one_job_is_one_request() -> None:
    def check(expected: Expectations) -> None:
        assert expected.accepted("k", ASKED, {"job_id": "1"}) == "1"
        expected.accepted("k", ASKED, {"job_id": "1"})
        expected.accepted("k", ASKED, {"job_id": "2"})
        expected.accepted("l", ASKED | {"dataset_id": "e"}, {"job_id": "1"})

    assert violations(check) == ["one key has two jobs: 1 and 2", "the job 1 was given to two requests"]


def test_a_job_that_has_ended_stays_as_it_is() -> None:
    def check(expected: Expectations) -> None:
        for job_id in ("1", "2", "3"):
            expected.accepted(job_id, ASKED, {"job_id": job_id})
        expected.seen("1", {"status": "running"})
        expected.seen("1", {"status": "interrupted"})
        expected.seen("1", {"status": "succeeded"})
        expected.seen("1", {"status": "failed"})
        expected.seen("2", {"status": "cancelled"})
        expected.jobs["3"].cancelled = True
        assert expected.is_final(expected.seen("3", {"status": "cancelled"}))

    assert violations(check) == ["the job 1 was succeeded and is failed", "the job 2 was cancelled by nobody"]
