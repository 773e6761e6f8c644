import pytest
import trio
from trio.testing import MockClock

from cqox.chaos.simulation.timeline import Timeline


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@pytest.mark.trio
async def test_callbacks_run_at_their_times_and_those_of_one_time_in_order(autojump_clock: MockClock) -> None:
    timeline, seen, began = Timeline(), list[tuple[float, str]](), trio.current_time()

    def note(what: str) -> None:
        seen.append((trio.current_time() - began, what))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(timeline.run)
        await trio.sleep(1)
        timeline.at(began + 5, lambda: note("late"))
        timeline.at(began + 3, lambda: note("first"))
        timeline.at(began + 3, lambda: note("second"))
        timeline.at(began - 7, lambda: note("past"))
        await trio.sleep(3)
        timeline.at(began + 4.5, lambda: (note("earlier"), timeline.at(began, lambda: note("at once"))))
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert seen == [(1, "past"), (3, "first"), (3, "second"), (4.5, "earlier"), (4.5, "at once"), (5, "late")]
