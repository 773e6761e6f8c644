"""The queue of the audit log: order, bound, and a store that is away."""

from collections.abc import Sequence

import pytest
import trio
import trio.testing

from cqox.errors import CircuitOpen, StoreUnavailable
from cqox.security import AuditEvent
from services.http.security.audit_queue import AuditQueue
from tests.storage.records import an_event


class Store:
    """Takes batches, unless it is away."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.calls = 0
        self.error: Exception | None = None

    async def __call__(self, events: Sequence[AuditEvent]) -> None:
        self.calls += 1
        await trio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        self.taken += [event.request_id for event in events]


@pytest.mark.trio
async def test_events_are_stored_in_their_order(autojump_clock: trio.testing.MockClock) -> None:
    store = Store()
    queue = AuditQueue(store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.run)
        for number in range(450):
            queue.put(an_event(number))
        await trio.testing.wait_all_tasks_blocked()
        queue.put(an_event(450))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert store.taken == [f"r{number}" for number in range(451)]
    assert (store.calls, len(queue), queue.lost) == (4, 0, 0)


@pytest.mark.trio
@pytest.mark.parametrize("error", [StoreUnavailable("away"), CircuitOpen("store", retry_after=1.0)])
async def test_events_wait_while_the_store_is_away(autojump_clock: trio.testing.MockClock, error: Exception) -> None:
    store = Store()
    store.error = error
    queue = AuditQueue(store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.run)
        queue.put(an_event(1))
        await trio.sleep(60)
        assert (store.taken, len(queue)) == ([], 1)
        # Not at every moment: at growing intervals up to five seconds.
        assert 10 < store.calls < 20
        store.error = None
        queue.put(an_event(2))
        await trio.sleep(6)
        nursery.cancel_scope.cancel()
    assert (store.taken, queue.lost) == (["r1", "r2"], 0)


@pytest.mark.trio
async def test_what_does_not_fit_is_lost_and_counted() -> None:
    queue = AuditQueue(Store(), most=3)
    for number in range(5):
        queue.put(an_event(number))
    assert (len(queue), queue.lost) == (3, 2)


@pytest.mark.trio
async def test_a_close_stores_the_rest_and_counts_what_it_cannot(autojump_clock: trio.testing.MockClock) -> None:
    store = Store()
    queue = AuditQueue(store)
    queue.put(an_event(1))
    await queue.close()
    assert (store.taken, queue.lost) == (["r1"], 0)
    store.error = StoreUnavailable("away")
    for number in range(3):
        queue.put(an_event(number))
    await queue.close()
    assert (len(queue), queue.lost) == (0, 3)


@pytest.mark.trio
async def test_a_cancellation_of_a_batch_keeps_it() -> None:
    entered = trio.Event()

    async def forever(events: Sequence[AuditEvent]) -> None:
        entered.set()
        await trio.sleep_forever()

    queue = AuditQueue(forever)
    queue.put(an_event(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.run)
        await entered.wait()
        nursery.cancel_scope.cancel()
    assert len(queue) == 1
