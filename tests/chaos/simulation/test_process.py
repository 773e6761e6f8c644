import pytest
import trio

from cqox.chaos.simulation.process import SimulatedProcess, current_process
from cqox.chaos.simulation.world import World, simulate


def test_a_crash_takes_effect_before_tasks_are_cancelled_and_what_they_raise_is_nothing() -> None:
    order = list[str]()

    async def work(process: SimulatedProcess) -> None:
        assert current_process.get() is process
        try:
            await trio.sleep_forever()
        finally:
            order.append(f"cleaned up, alive: {process.alive}")
            raise RuntimeError("of a dying process")

    async def main(world: World) -> None:
        process = world.start("one", work, restart=False)
        process.on_crash(lambda gone: order.append(f"cut {gone.name}"))
        await trio.sleep(1)
        assert process.alive
        process.crash()
        process.crash()
        await process.ended.wait()
        assert current_process.get() is None

    simulate(1, main)
    assert order == ["cut one", "cleaned up, alive: False"]


def test_a_process_that_ends_by_itself_is_started_again_with_the_reason_in_the_log() -> None:
    async def fail(process: SimulatedProcess) -> None:
        await trio.sleep(1)
        raise ValueError(f"start {process.starts}")

    async def main(world: World) -> None:
        process = world.start("one", fail)
        await trio.sleep(4)
        assert process.starts == 3

    world = simulate(1, main)
    assert any("died one ValueError" in line for line in world.log.last())
    assert any("start 2" in line for line in world.log.last())


def test_a_process_that_never_ran_cannot_crash() -> None:
    process = SimulatedProcess("one", pytest.fail, lambda: 0.0)
    process.on_crash(pytest.fail)
    process.crash()
    assert not process.alive
