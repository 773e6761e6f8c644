"""Scope of an ambient deadline: in force in tasks inside of it, not in detached tasks or under a shield."""

import asyncio
import math

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio

from cqox.errors import AttemptTimeout, DeadlineExceeded
from cqox.resilience import CircuitBreaker, Policy, Timeout, api_timeout, deadline, remaining
from cqox.resilience.runtime import event_loop
from cqox.resilience.runtime.ambient_deadline import ambient, in_force
from cqox.resilience.runtime.scope_ids import UNKNOWN_SCOPE
from cqox.tasks import open_task_group
from tests.resilience.conftest import run_async


def test_tasks_of_a_group_inside_of_the_block_inherit_it(run) -> None:
    async def main() -> None:
        seen: list[float] = []

        async def child() -> None:
            seen.append(remaining())
            async with anyio.create_task_group() as group:
                group.start_soon(grandchild)

        async def grandchild() -> None:
            seen.append(remaining())

        with deadline(5.0):
            async with anyio.create_task_group() as group:
                group.start_soon(child)
            async with open_task_group() as group:
                group.start_soon(child)
        assert seen == [pytest.approx(5.0)] * 4

    run(main)


@pytest.mark.parametrize("around", [3.0, math.inf])
@pytest.mark.parametrize("inside", [1.0, math.inf])
def test_tasks_inherit_it_also_where_scopes_around_it_or_of_their_own_end_sooner(
    run, around: float, inside: float
) -> None:
    async def main() -> None:
        seen: list[float] = []

        async def child() -> None:
            with anyio.move_on_after(inside):
                seen.append(remaining())
                async with anyio.create_task_group() as group:
                    group.start_soon(grandchild)
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
                    seen.append(remaining())

        async def grandchild() -> None:
            seen.append(remaining())

        with anyio.move_on_after(around), deadline(5.0):
            async with anyio.create_task_group() as group:
                group.start_soon(child)
        assert seen == [pytest.approx(5.0), pytest.approx(5.0), math.inf]

    run(main)


@pytest.mark.parametrize("group_of", [anyio.create_task_group, open_task_group])
def test_a_task_of_an_outer_group_does_not_inherit_it(run, group_of) -> None:
    async def main() -> None:
        seen: list[object] = []

        async def detached() -> None:
            seen.append(remaining())
            await anyio.sleep(10)
            # A call in a detached task is bounded by its own limit, and by nothing that has passed.
            with pytest.raises(AttemptTimeout):
                await api_timeout(2.0)(anyio.sleep_forever)()
            seen.append(anyio.current_time() - start)
            breaker = CircuitBreaker("detached", failure_threshold=1)
            with anyio.move_on_after(3.0):
                await breaker(anyio.sleep_forever)()
            seen.append(breaker.snapshot().cancelled)

        start = anyio.current_time()
        async with group_of() as app:
            with deadline(5.0):
                app.start_soon(detached)
                await anyio.lowlevel.checkpoint()
        assert seen == [math.inf, pytest.approx(12.0), 1]

    run(main)


def test_a_detached_task_that_is_cancelled_does_not_inherit_it_either(run) -> None:
    async def main() -> None:
        seen: list[float] = []

        async def detached() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                seen.append(remaining())

        async with open_task_group() as app:
            with deadline(5.0):
                app.start_soon(detached)
                await anyio.sleep(1.0)
            app.cancel_scope.cancel()
        assert seen == [math.inf]

    run(main)


def test_a_detached_task_of_trio_does_not_inherit_it_even_inside_of_a_shorter_scope() -> None:
    async def main() -> None:
        seen: list[float] = []

        async def detached() -> None:
            with trio.move_on_after(1.0):
                await trio.lowlevel.checkpoint()
                seen.append(remaining())

        async with trio.open_nursery() as app:
            with deadline(5.0):
                app.start_soon(detached)
                await trio.lowlevel.checkpoint()
        assert seen == [math.inf]

    run_async("trio", main)


def test_a_task_that_asyncio_starts_by_itself_counts_as_detached() -> None:
    async def main() -> None:
        async def detached() -> float:
            return remaining()

        with deadline(5.0):
            assert await asyncio.create_task(detached()) == math.inf
            assert await asyncio.shield(detached()) == math.inf

    run_async("asyncio", main)


def test_shielded_clean_up_does_not_inherit_it(run) -> None:
    async def main() -> None:
        seen: list[object] = []
        start = anyio.current_time()

        async def clean_up() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    seen.append(remaining())
                    with pytest.raises(AttemptTimeout):
                        await api_timeout(2.0)(anyio.sleep_forever)()
                    seen.append(anyio.current_time() - start)
                seen.append(remaining())

        with pytest.raises(DeadlineExceeded), deadline(5.0):
            await clean_up()
        assert seen == [math.inf, pytest.approx(7.0), 0.0]

    run(main)


def test_plain_code_called_by_a_task_inherits_it(run) -> None:
    async def main() -> None:
        def plain() -> float:
            return remaining()

        with deadline(5.0):
            assert plain() == pytest.approx(5.0)

        def sets_one() -> float:
            with deadline(3.0):
                return remaining()

        assert sets_one() == pytest.approx(3.0)
        assert remaining() == math.inf

    run(main)


def test_a_number_set_in_plain_code_holds_in_a_loop_that_runs_inside_of_it() -> None:
    async def main() -> float:
        return remaining()

    with deadline(5.0):
        assert trio.run(main) == pytest.approx(5.0, abs=0.5)
        assert asyncio.run(main()) == pytest.approx(5.0, abs=0.5)


def test_a_callback_of_a_loop_does_not_hand_it_to_tasks() -> None:
    async def main() -> None:
        seen: list[float] = []
        done = asyncio.Event()

        async def task() -> None:
            seen.append(remaining())
            done.set()

        def callback() -> None:
            with deadline(5.0):
                seen.append(remaining())
                tasks.append(asyncio.get_running_loop().create_task(task()))

        tasks: list[asyncio.Task[None]] = []
        asyncio.get_running_loop().call_soon(callback)
        await done.wait()
        assert seen == [pytest.approx(5.0), math.inf]

    run_async("asyncio", main)


@pytest.mark.parametrize("shield", [False, True])
def test_the_cached_scope_identity_agrees_with_the_full_computation(run, monkeypatch, shield: bool) -> None:
    async def main() -> None:
        answers = []
        with deadline(5.0), anyio.CancelScope(shield=shield):
            await anyio.lowlevel.checkpoint()
            innermost = ambient.get()
            answers.append(in_force() is innermost)
            with monkeypatch.context() as hidden:
                hidden.setattr(innermost, "scope_id", UNKNOWN_SCOPE)
                hidden.setattr(type(innermost.loop), "id_of", lambda self, scope, task: None)
                answers.append(in_force() is innermost)
        with deadline(5.0):
            innermost = ambient.get()
            assert in_force() is innermost
            assert innermost.scope_id is not UNKNOWN_SCOPE, "the private names that make it short have changed"
            assert innermost.scope_id == innermost.loop.scope_id_of(innermost.loop.task())
        assert answers == [not shield] * 2

    run(main)


def test_a_task_of_an_outer_group_is_not_under_a_deadline_whose_scope_its_owner_is_in(run) -> None:
    async def main() -> None:
        seen, looked = [], anyio.Event()

        async def look() -> None:
            seen.append(ambient.get().here())
            looked.set()

        async with anyio.create_task_group() as outer:
            with deadline(5.0):
                assert ambient.get().here() is ambient.get()
                outer.start_soon(look)
                await looked.wait()  # directly inside of the scope, unlike a sleep on Trio
        assert seen == [None]

    run(main)


def test_without_the_private_names_all_is_the_same(run, monkeypatch) -> None:
    monkeypatch.setattr(event_loop._AsyncioEventLoop, "scope_id_of", lambda self, task: None)
    monkeypatch.setattr(event_loop._TrioEventLoop, "scope_id_of", lambda self, task: None)
    monkeypatch.setattr(event_loop._AsyncioEventLoop, "id_of", lambda self, scope, task: None)
    monkeypatch.setattr(event_loop._TrioEventLoop, "id_of", lambda self, scope, task: None)

    async def main() -> None:
        with deadline(5.0):
            assert remaining() == pytest.approx(5.0)
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
                assert remaining() == math.inf
        with pytest.raises(DeadlineExceeded), deadline(1.0):
            await Policy("p", Timeout(5.0))(anyio.sleep_forever)()

    run(main)


def test_a_trio_run_that_is_a_guest_of_asyncio_has_its_own_deadline() -> None:
    async def guest() -> list[object]:
        with deadline(30.0):
            seen: list[object] = [remaining() <= 30.0]
            with pytest.raises(AttemptTimeout):
                await api_timeout(0.01)(trio.sleep_forever)()
        return seen

    async def host() -> list[object]:
        done: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe,
            done_callback=lambda outcome: done.set_result(outcome.unwrap()),
            host_uses_signal_set_wakeup_fd=True,
        )
        return await done

    assert asyncio.run(host()) == [True]
