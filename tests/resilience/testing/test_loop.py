"""asyncio in virtual time: cancel scopes and concurrent sleeps as under Trio's MockClock."""

import asyncio
import time

import anyio
import anyio.to_thread

from cqox.resilience.testing import VirtualTimeLoop, run_in_virtual_time


def test_it_jumps_to_the_next_timer_in_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(100_000)
        return asyncio.get_running_loop().time()

    start = time.perf_counter()
    assert run_in_virtual_time(main) == 100_000
    assert time.perf_counter() - start < 5


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    async def main() -> list[tuple[str, float]]:
        woken: list[tuple[str, float]] = []

        async def sleeper(name: str, *pauses: float) -> None:
            for pause in pauses:
                await asyncio.sleep(pause)
                woken.append((name, asyncio.get_running_loop().time()))

        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("a", 1.0, 1.0, 1.0))
            group.create_task(sleeper("b", 1.5, 2.0))
        return woken

    assert run_in_virtual_time(main) == [("a", 1.0), ("b", 1.5), ("a", 2.0), ("a", 3.0), ("b", 3.5)]


def test_scopes_of_both_libraries_fire_at_their_times() -> None:
    async def main() -> list[float]:
        times = []
        with anyio.move_on_after(30):
            await anyio.sleep_forever()
        times.append(anyio.current_time())
        try:
            async with asyncio.timeout(12):
                await anyio.sleep_forever()
        except TimeoutError:
            times.append(anyio.current_time())
        return times

    assert run_in_virtual_time(main) == [30, 42]


def test_a_patient_loop_waits_for_threads() -> None:
    async def main() -> str:
        with anyio.move_on_after(3600):
            return await anyio.to_thread.run_sync(lambda: (time.sleep(0.01), "done")[1])
        return "jumped"

    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(patience=5.0)) as runner:
        assert runner.run(main()) == "done"


def test_anyio_takes_it_as_a_loop_factory() -> None:
    async def main() -> float:
        await anyio.sleep(7)
        return anyio.current_time()

    assert anyio.run(main, backend_options={"loop_factory": VirtualTimeLoop}) == 7
