"""Dependencies that play a script."""

import anyio
import pytest

from cqox.resilience.testing import FakeClock, Script, Slow


def test_steps_are_played_one_for_each_call_and_the_last_again() -> None:
    script = Script(ValueError("first"), KeyError, "value")
    with pytest.raises(ValueError, match="first"):
        script()
    with pytest.raises(KeyError):
        script()
    assert [script(), script("any", argument=1)] == ["value", "value"]
    assert script.calls == 4


def test_a_slow_step_waits_and_goes_on(run) -> None:
    async def main() -> None:
        script = Script(Slow(2.0, "late"), Slow(1.0, Slow(1.0, ValueError("later"))), Slow(float("inf")))
        start = anyio.current_time()
        assert await script.call() == "late"
        with pytest.raises(ValueError, match="later"):
            await script.call()
        assert anyio.current_time() - start == pytest.approx(4.0)
        with anyio.move_on_after(10.0) as scope:
            await script.call()
        assert scope.cancelled_caught

    run(main)


def test_a_slow_step_goes_by_the_clock_it_was_given() -> None:
    clock = FakeClock()
    assert Script(Slow(5.0, "late"), clock=clock)() == "late"
    assert clock.now() == 5.0


def test_a_script_needs_a_step() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        Script()
