import pytest

from cqox.analysis.quarantine import Quarantine
from cqox.errors import InvalidRequest, UnusableData, WorkerLost, WorkersUnavailable

pytestmark = pytest.mark.anyio


class Computation:
    def __init__(self, *outcomes: Exception | int) -> None:
        self.outcomes = list(outcomes)
        self.runs = 0

    async def __call__(self) -> int:
        self.runs += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def test_a_lost_worker_is_replaced_once_without_the_caller_noticing() -> None:
    computation = Computation(WorkerLost("gone"), 7)
    assert await Quarantine().guard("k", computation) == 7
    assert computation.runs == 2


async def test_a_key_that_loses_two_workers_is_refused_and_remembered() -> None:
    quarantine, computation = Quarantine(), Computation(WorkerLost("gone"), WorkerLost("gone"), 7)
    for _ in range(3):
        with pytest.raises(UnusableData, match="2 times"):
            await quarantine.guard("k", computation)
    assert computation.runs == 2


async def test_other_keys_and_other_errors_are_not_touched() -> None:
    quarantine = Quarantine()
    with pytest.raises(UnusableData):
        await quarantine.guard("bad", Computation(WorkerLost("gone"), WorkerLost("gone")))
    with pytest.raises(InvalidRequest):
        await quarantine.guard("good", Computation(InvalidRequest("no")))
    assert await quarantine.guard("good", Computation(1)) == 1


async def test_where_no_worker_starts_the_key_is_not_to_blame() -> None:
    quarantine, computation = Quarantine(), Computation(*3 * [WorkersUnavailable("none")], 7)
    for run in range(1, 4):
        with pytest.raises(WorkersUnavailable):
            await quarantine.guard("k", computation)
        assert computation.runs == run
    assert await quarantine.guard("k", computation) == 7


async def test_a_success_wipes_the_slate() -> None:
    quarantine = Quarantine()
    for _ in range(5):
        assert await quarantine.guard("k", Computation(WorkerLost("gone"), 1)) == 1


async def test_the_keys_that_failed_longest_ago_are_forgotten() -> None:
    quarantine = Quarantine(remembered=2)
    for key in ("a", "b", "c"):
        with pytest.raises(UnusableData):
            await quarantine.guard(key, Computation(WorkerLost("gone"), WorkerLost("gone")))
    assert await quarantine.guard("a", Computation(1)) == 1


def test_no_strikes_at_all_make_no_sense() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        Quarantine(strikes=0)
