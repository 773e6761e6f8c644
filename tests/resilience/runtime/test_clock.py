"""Clocks: the default one, and those that are bound on first use."""

import math
import time

import anyio
import pytest
import trio

from cqox.resilience.runtime.clock import BoundClock, Clock, TimeSource, bind_clock, natural_time
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Run, Time, run_async


def test_the_default_is_the_clock_of_the_system_where_none_is_simulated() -> None:
    async def main() -> object:
        return natural_time()

    assert natural_time() is time.monotonic
    assert anyio.run(main, backend="asyncio") is time.monotonic
    assert trio.run(main) is time.monotonic


def test_the_default_is_the_simulated_clock_of_a_task_and_of_a_callback(run: Run) -> None:
    async def main() -> float:
        source = natural_time()
        began = source()
        await anyio.sleep(1000.0)
        return source() - began

    assert run(main) == pytest.approx(1000.0)


def test_a_clock_is_bound_by_a_checked_reading_and_refuses_another_until_it_is_released() -> None:
    clock = BoundClock("breaker engine")

    async def read() -> float:
        return clock.checked_now()

    clock.peek()
    run_async("asyncio", read)
    with pytest.raises(RuntimeError, match=r"breaker engine is bound to .*time\.monotonic"):
        clock.checked_now()
    clock.release()
    assert abs(clock.checked_now() - time.monotonic()) < 60.0
    assert clock.now is clock.source() is time.monotonic
    with pytest.raises(RuntimeError, match=r"bound to time\.monotonic .* under MockClock"):
        run_async("trio", read)


def test_an_explicit_clock_is_the_same_everywhere_and_is_never_released() -> None:
    source = Time()
    clock = bind_clock("owner", source)

    async def read() -> float:
        return clock.checked_now()

    readings = [clock.now(), clock.checked_now(), clock.peek(), run_async("asyncio", read), run_async("trio", read)]
    clock.release()
    assert [*readings, clock.now()] == [1000.0] * 6
    assert clock.source() is source


def test_a_clock_that_cannot_be_read_here_peeks_as_nan() -> None:
    clock = bind_clock("owner", trio.current_time)
    assert math.isnan(clock.peek())
    with pytest.raises(RuntimeError):
        clock.checked_now()


def test_sleeps_go_by_a_clock_that_can_sleep(run: Run) -> None:
    fake = FakeClock()
    clock = bind_clock("owner", fake)
    clock.sleep(3600.0)

    async def main() -> None:
        began = anyio.current_time()
        await clock.sleep_async(1800.0)
        assert anyio.current_time() == began
        await BoundClock("other", fake.now).sleep_async(60.0)
        assert anyio.current_time() - began == pytest.approx(60.0)

    run(main)
    assert (fake.sleeps, clock.now()) == ([3600.0, 1800.0], 5400.0)


def test_a_source_of_time_alone_sleeps_in_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    for clock in (bind_clock("owner", Time()), bind_clock("owner", None)):
        clock.sleep(7.0)
    assert slept == [7.0, 7.0]


def test_what_is_no_clock_is_refused() -> None:
    assert isinstance(FakeClock(), Clock)
    assert not isinstance(Time(), Clock)
    with pytest.raises(ValueError, match="clock must have"):
        bind_clock("owner", 5)  # type: ignore[arg-type]
    for of_a_clock in (FakeClock, Time):
        name = of_a_clock.__name__
        with pytest.raises(ValueError, match=rf"clock must be an object, not the class {name}: write {name}\(\)"):
            bind_clock("owner", of_a_clock)


class Interrupted(BoundClock):
    """A clock that another thread reads whenever its source has just been set, before anything else is."""

    __slots__ = ("_set", "interrupted")

    @property
    def _source(self) -> TimeSource | None:
        return self._set

    @_source.setter
    def _source(self, source: TimeSource | None) -> None:
        self._set = source
        if getattr(self, "interrupted", False):
            self.interrupted = False
            self.checked_now()


@pytest.mark.parametrize("interrupted", ["bound", "released"])
def test_a_clock_may_be_read_while_another_thread_binds_or_releases_it(interrupted: str) -> None:
    clock = Interrupted("owner")
    if interrupted == "bound":
        clock.interrupted = True
        clock.now()
    else:
        clock.now()
        clock.interrupted = True
        clock.release()
    assert clock.now() <= clock.now() <= time.monotonic()
