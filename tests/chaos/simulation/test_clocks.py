import pytest
import trio

from cqox.chaos.simulation.clocks import Skew, current_skew
from cqox.chaos.simulation.world import World, simulate


def test_a_skew_drifts_from_now_on_and_steps_the_time_of_day_alone() -> None:
    skew = Skew()
    assert skew.elapsed(10) == 10
    skew.drift(2.0, 10)
    assert skew.elapsed(15) == 20
    skew.drift(1.0, 15)
    assert skew.elapsed(16) == 21
    skew.step(-3600)
    skew.step(60)
    assert skew.offset == -3540
    assert skew.elapsed(16) == 21


def test_time_that_stands_still_or_goes_back_is_refused() -> None:
    with pytest.raises(ValueError, match="positive rate, not 0"):
        Skew().drift(0, 1)


def test_each_process_reads_its_own_clock_and_the_world_the_true_one() -> None:
    from cqox import clock

    async def main(world: World) -> None:
        own = Skew()
        own.step(100)
        own.drift(0.5, 0)
        await trio.sleep(10)
        true = clock.wall_time()
        token = current_skew.set(own)
        assert clock.monotonic() == 5
        assert clock.wall_time() == pytest.approx(true - 5 + 100)
        current_skew.reset(token)
        assert clock.monotonic() == world.now == 10

    simulate(1, main)
