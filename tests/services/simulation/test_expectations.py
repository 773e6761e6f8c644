"""Checks that clients of the simulation make."""

import json
from pathlib import Path

import pytest
import trio
import trio.testing

from cqox.chaos.simulation.world import World
from services.simulation.client import Answer
from services.simulation.expectations import Expectations

PROBLEM = {"content-type": "application/problem+json"}
ASKED = {"dataset_id": "d", "options": {"seed": 1, "estimators": ["aipw"]}}


class Site:
    """A site whose faults are given."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds

    def has_faults(self, since: float, *kinds: str, aftermath: float = 0.0) -> bool:
        return any(kind in self.kinds for kind in kinds)


@pytest.fixture
def expected(tmp_path: Path) -> Expectations:
    made = list[World]()

    async def main() -> None:
        made.append(World(1, tmp_path))

    trio.run(main, clock=trio.testing.MockClock())
    world = made[0]
    world.violated = lambda what: world.violations.append(what)  # type: ignore[method-assign]
    world._time.elapsed = lambda: 0.0  # type: ignore[method-assign]
    return Expectations(world, frozenset({"secret.csv"}))


def problem(status: int, kind: str, **headers: str) -> Answer:
    body = json.dumps({"type": kind, "status": status, "detail": "x"}).encode()
    return Answer(status=status, headers={**PROBLEM, **headers}, body=body)


def report(analysis_id: str = "a", *, value: float = 1.0, stored: bool = True) -> dict[str, object]:
    return {
        "analysis_id": analysis_id,
        "dataset_id": "d",
        "options": {"seed": 1},
        "estimates": [{"name": "aipw", "value": value}],
        "provenance": {"stored": stored},
    }


def test_a_failure_names_something_that_has_broken(expected: Expectations) -> None:
    lost = problem(503, "worker-lost", **{"retry-after": "1"})
    expected.explained("analyze", lost, Site("worker killed"), 0.0, "")  # type: ignore[arg-type]
    assert not expected.world.violations
    expected.explained("analyze", lost, Site("partition"), 0.0, "")  # type: ignore[arg-type]
    assert "has no cause" in expected.world.violations[0]


def test_a_status_that_the_contract_does_not_name_and_a_lack_of_retry_after_are_found(expected: Expectations) -> None:
    assert not expected.answered("analyze", problem(503, "shed", **{"retry-after": "1"}), seconds=1, most=2)
    assert not expected.world.violations
    expected.answered("analyze", problem(501, "shed"), seconds=1, most=2)
    expected.answered("analyze", problem(503, "shed"), seconds=1, most=2)
    assert len(expected.world.violations) == 2


def test_one_report_has_the_same_numbers_for_ever_and_is_kept_where_it_is_stored(expected: Expectations) -> None:
    expected.reported(ASKED, report(stored=False))
    assert not expected.reports
    expected.reported(ASKED, report())
    assert list(expected.reports) == ["a"]
    assert not expected.world.violations
    expected.read("a", report(value=2.0))
    assert "other numbers" in expected.world.violations[0]


def test_one_key_is_one_job_and_without_a_key_each_request_is_one(expected: Expectations) -> None:
    for job in ("1", "2"):
        expected.accepted("", ASKED, {"job_id": job})
    expected.accepted("key", ASKED, {"job_id": "3"})
    expected.accepted("key", ASKED, {"job_id": "3"})
    assert not expected.world.violations
    expected.accepted("key", ASKED, {"job_id": "4"})
    assert "two jobs" in expected.world.violations[0]


def test_no_more_jobs_are_unknown_than_requests_were_left_without_an_answer(expected: Expectations) -> None:
    expected.jobs_asked_for = 1
    expected.counted(5, 1)
    assert not expected.world.violations
    expected.counted(5, 2)
    assert "acknowledged to nobody" in expected.world.violations[0]


def test_what_was_deleted_is_remembered_until_it_is_asked_for_again(expected: Expectations) -> None:
    expected.delete("mine", "read_analysis", "/api/analyses/a")
    expected.delete("mine", "read_dataset", "/api/datasets/d")
    assert list(expected.removed) == ["/api/analyses/a", "/api/datasets/d"]
    expected.comes_back("mine")
    assert not expected.removed


def test_only_what_no_other_tenant_has_is_a_secret(expected: Expectations) -> None:
    expected.uploaded("secret.csv", {"dataset_id": "d"})
    expected.uploaded("common.csv", {"dataset_id": "c"})
    expected.accepted("", ASKED, {"job_id": "1"})
    expected.reported(ASKED, report())
    assert expected.secrets() == [
        ("read_dataset", "/api/datasets/d"),
        ("read_job", "/api/jobs/1"),
        ("read_analysis", "/api/analyses/a"),
    ]
