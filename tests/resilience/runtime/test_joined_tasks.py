"""Threads and gathered children that the block waits for see its deadline as a number."""

import asyncio
import contextlib
import contextvars
import math
import threading

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from cqox.errors import AttemptTimeout, DeadlineExceeded
from cqox.resilience import api_timeout, deadline, remaining
from cqox.resilience.runtime.ambient_deadline import in_force
from cqox.resilience.runtime.joined_tasks import run_for_awaiter
from tests.resilience.conftest import run_async


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_thread_of_a_pool_sees_it_as_a_number_while_its_block_is_open(backend: str) -> None:
    def in_a_thread() -> list[object]:
        assert in_force().loop is None, "no scope reaches into a thread"
        return [remaining(), api_timeout(60.0)(remaining)(), api_timeout(1.0)(remaining)()]

    async def main() -> None:
        with deadline(5.0):
            seen = await anyio.to_thread.run_sync(in_a_thread)
            assert all(4.0 < seconds <= 5.0 for seconds in seen[:2])
            assert 0.0 < seen[2] <= 1.0
            with anyio.CancelScope(shield=True):
                assert await anyio.to_thread.run_sync(remaining) == math.inf
        with deadline(0.0):
            with pytest.raises(DeadlineExceeded):
                await anyio.to_thread.run_sync(api_timeout(60.0)(remaining), abandon_on_cancel=False)
            await anyio.lowlevel.cancel_shielded_checkpoint()

    async def guarded() -> None:
        with contextlib.suppress(DeadlineExceeded):
            await main()

    anyio.run(guarded, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_thread_of_a_detached_task_does_not_see_it(backend: str) -> None:
    async def main() -> None:
        seen: list[float] = []

        async def detached() -> None:
            seen.append(await anyio.to_thread.run_sync(remaining))

        async with anyio.create_task_group() as app:
            with deadline(5.0):
                app.start_soon(detached)
                await anyio.sleep(0.05)
        assert seen == [math.inf]

    anyio.run(main, backend=backend)


def test_a_thread_of_asyncio_sees_it_until_its_block_is_left() -> None:
    async def main() -> None:
        left = threading.Event()

        def in_a_thread() -> tuple[float, float]:
            first = remaining()
            left.wait(10.0)
            return first, remaining()

        with deadline(5.0):
            thread = asyncio.create_task(asyncio.to_thread(in_a_thread))
            await asyncio.sleep(0.05)
        left.set()
        first, then = await thread
        assert 4.0 < first <= 5.0
        assert then == math.inf

    asyncio.run(main())


def test_children_that_asyncio_gathers_or_groups_see_it_as_a_number() -> None:
    async def child() -> tuple[float, bool]:
        await asyncio.sleep(0)
        return remaining(), in_force().loop is None

    async def gathers() -> list[tuple[float, bool]]:
        return await asyncio.gather(child(), child())

    async def shields() -> float:
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
            return (await asyncio.gather(seen()))[0]

    async def seen() -> float:
        await asyncio.sleep(0)
        return remaining()

    async def main() -> None:
        with deadline(5.0):
            assert await asyncio.gather(child(), child()) == [(5.0, True)] * 2
            assert await asyncio.gather(gathers(), return_exceptions=True) == [[(5.0, True)] * 2]
            async with asyncio.TaskGroup() as group:
                grouped = group.create_task(child())
            assert grouped.result() == (5.0, True)
            async with anyio.create_task_group() as own:
                own.start_soon(gathers)
            assert await shields() == math.inf
            assert (await asyncio.gather(shields()))[0] == math.inf
            assert await asyncio.shield(asyncio.gather(seen())) == [math.inf]
            # Its own limit ends it, and says whose time it was.
            with pytest.raises(AttemptTimeout):
                await asyncio.gather(api_timeout(1.0)(anyio.sleep_forever)())
        assert await asyncio.gather(seen()) == [math.inf]
        with pytest.raises(DeadlineExceeded), deadline(5.0):
            await asyncio.gather(api_timeout(60.0)(anyio.sleep_forever)())

    run_async("asyncio", main)


def test_a_task_in_which_a_library_runs_the_call_of_its_awaiter_sees_it_as_a_number() -> None:
    async def call() -> tuple[float, bool]:
        run_for_awaiter()
        return remaining(), in_force() is not None and in_force().loop is None

    async def main() -> None:
        with deadline(5.0):
            assert await asyncio.create_task(call()) == (5.0, True)
            with anyio.CancelScope(shield=True):
                assert await asyncio.create_task(call()) == (math.inf, False)
            assert await asyncio.shield(call()) == (math.inf, False)
            alone = asyncio.create_task(call())
            await asyncio.sleep(0)
            assert await alone == (math.inf, False)
        assert await asyncio.create_task(call()) == (math.inf, False)

    run_async("asyncio", main)


def test_without_the_private_names_of_asyncio_gathered_children_see_none(monkeypatch) -> None:
    monkeypatch.delattr(asyncio.tasks, "_GatheringFuture")

    async def child() -> float:
        await asyncio.sleep(0)
        return remaining()

    async def main() -> None:
        with deadline(5.0):
            tasks = [asyncio.create_task(child())]
            assert [await task for task in tasks] == [math.inf]

    run_async("asyncio", main)


def test_a_thread_does_not_inherit_it_with_a_copied_context() -> None:
    seen = []
    with deadline(5.0):
        context = contextvars.copy_context()
        thread = threading.Thread(target=lambda: seen.append(context.run(remaining)))
        thread.start()
        thread.join()
        assert remaining() == pytest.approx(5.0, abs=0.5)
    assert seen == [math.inf]
