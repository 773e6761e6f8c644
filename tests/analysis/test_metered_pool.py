"""CPU time of tasks on the account of a tenant, measured of real worker processes."""

from collections.abc import AsyncIterator

import anyio
import pytest

from cqox.analysis.metered_pool import MeteredPool, cpu_budget
from cqox.analysis.workers import WorkerPool
from cqox.contract.messages import of
from cqox.errors import InputError, QuotaExceeded, WorkerLost
from cqox.resilience.limits.keyed_budget import KeyedBudget
from cqox.resilience.testing import FakeClock
from tests.analysis.workers import chores

pytestmark = pytest.mark.anyio


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    with anyio.fail_after(60):
        async with WorkerPool.open(work=chores.__name__, size=1, spares=0) as opened:
            yield opened


class Measured(KeyedBudget):
    """A budget that keeps what was spent."""

    def __init__(self) -> None:
        super().__init__(1000, 3600.0, clock=FakeClock())
        self.spent: list[tuple[object, float]] = []

    def spend(self, key: object, used: float) -> None:
        self.spent.append((key, used))
        super().spend(key, used)  # type: ignore[arg-type]


async def test_a_task_costs_the_cpu_time_of_its_process_and_not_the_time_it_took(pool: WorkerPool) -> None:
    kept = Measured()
    metered = MeteredPool(pool, "acme", kept)
    await metered.run("burn", {"seconds": 0.3})
    await metered.run("echo", {})
    (tenant, burned), (_, idle) = kept.spent
    assert tenant == "acme"
    # It computes for 0.3 s of wall time, on a busy machine with less CPU time than that.
    assert 0.02 < burned <= 0.6
    assert idle < burned


async def test_a_task_that_fails_is_cancelled_or_dies_is_paid_for_too(pool: WorkerPool) -> None:
    kept = Measured()
    metered = MeteredPool(pool, "acme", kept)
    with pytest.raises(InputError):
        await metered.run("refuse", {})
    with anyio.move_on_after(0.4):
        await metered.run("burn", {"seconds": 30})
    assert kept.spent[1][1] > 0.02
    with pytest.raises(WorkerLost):
        await metered.run("die", {})
    assert len(kept.spent) == 3
    assert all(seconds >= 0.0 for _, seconds in kept.spent)


async def test_a_tenant_without_time_left_learns_when_and_another_goes_on(pool: WorkerPool) -> None:
    clock = FakeClock()
    kept = KeyedBudget(60, 3600.0, clock=clock)
    mine, other = (MeteredPool(pool, tenant, kept) for tenant in ("acme", "other"))
    mine.check()
    # A task that has begun is not cut; what it uses too much is paid later.
    kept.spend("acme", 61.0)
    with pytest.raises(QuotaExceeded) as caught:
        mine.check()
    assert caught.value.retry_after == 120
    assert "CQOX_CPU_SECONDS_PER_HOUR" in str(caught.value)
    assert "1時間" in of(caught.value.detail).in_language("ja")
    other.check()
    clock.advance(121.0)
    mine.check()


async def test_without_a_bound_nothing_is_refused(pool: WorkerPool) -> None:
    assert cpu_budget(0) is None
    metered = MeteredPool(pool, "acme", None)
    metered.check()
    assert (await metered.run("echo", {"a": 1})).body["a"] == 1
