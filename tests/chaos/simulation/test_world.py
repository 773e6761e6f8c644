import gc
import secrets
import time
import weakref

import pytest
import trio

from cqox import clock, randomness
from cqox.chaos.simulation.process import SimulatedProcess
from cqox.chaos.simulation.world import World, simulate
from cqox.resilience.runtime.randomness import shared_rng
from cqox.threads import run_in_thread


def test_hours_pass_in_an_instant_and_the_files_are_gone_afterwards() -> None:
    async def main(world: World) -> None:
        (world.folder / "file").write_text("x")
        await trio.sleep(3600 * 5)
        assert world.now == 3600 * 5

    began = time.process_time()
    world = simulate(1, main)
    assert time.process_time() - began < 60
    assert not world.folder.exists()


def test_time_chance_and_threads_are_those_of_the_world_while_it_runs() -> None:
    found = dict[int, list[object]]()

    async def main(world: World) -> None:
        begun = clock.wall_time()
        assert await run_in_thread(lambda: 7) == 7
        found[world.seed] = [
            randomness.token_hex(8),
            shared_rng.random(),
            world.draw("a").random(),
            world.draw("b").random(),
            clock.wall_time() - begun,
        ]

    for _ in range(2):
        simulate(1, main)
        first = found[1]
    simulate(1, main)
    simulate(2, main)
    assert found[1] == first
    assert all(one != other for one, other in zip(found[1], found[2], strict=True))
    assert found[1][2] != found[1][3]
    assert len(secrets.token_hex(8)) == len(randomness.token_hex(8))


def test_the_order_of_tasks_is_that_of_the_seed() -> None:
    def order(seed: int) -> list[int]:
        seen = list[int]()

        async def note(number: int) -> None:
            for _ in range(3):
                await trio.lowlevel.checkpoint()
                seen.append(number)

        async def main(world: World) -> None:
            async with trio.open_nursery() as nursery:
                for number in range(6):
                    nursery.start_soon(note, number)

        simulate(seed, main)
        return seen

    assert order(3) == order(3)
    assert len({tuple(order(seed)) for seed in range(6)}) > 1


class Loop:
    """Refers to itself, so that only a collection ends it."""

    def __init__(self) -> None:
        self.itself = self


def test_when_garbage_is_collected_does_not_hang_on_the_process() -> None:
    async def main(world: World) -> None:
        gone: list[int] = []
        for number in range(200):
            weakref.finalize(Loop(), gone.append, number)
            await trio.sleep(0.5)
            world.log.add("gone", len(gone))
        assert gone

    digests, found = set[str](), gc.get_threshold()
    try:
        for threshold in (50, 137, 10_000):
            gc.set_threshold(threshold)
            digests.add(simulate(1, main).log.digest)
    finally:
        gc.set_threshold(*found)
    assert gc.isenabled()
    assert len(digests) == 1


def test_a_violation_is_an_event() -> None:
    async def main(world: World) -> None:
        await trio.sleep(2)
        world.violated("it is late")

    world = simulate(1, main)
    assert world.violations == ["2.000 s: it is late"]
    assert "VIOLATION it is late" in list(world.log.last())[-1]


async def idle(process: SimulatedProcess) -> None:
    await trio.sleep_forever()


def test_what_main_raises_ends_the_run() -> None:
    async def main(world: World) -> None:
        world.start("idle", idle)
        await trio.sleep(1)
        raise KeyError("broken harness")

    with pytest.raises(ExceptionGroup) as raised:
        simulate(1, main)
    assert raised.group_contains(KeyError)
