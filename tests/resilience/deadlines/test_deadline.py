"""The ambient deadline: expiry, and where it is and is not in force."""

import asyncio
import contextlib
import contextvars
import math
import threading

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio

from cqox.errors import AttemptTimeout, DeadlineExceeded
from cqox.resilience import CircuitBreaker, Policy, Timeout, api_timeout, deadline, remaining
from cqox.resilience.runtime import event_loop
from cqox.resilience.runtime.ambient_deadline import ambient, in_force
from cqox.resilience.testing import FakeClock
from cqox.tasks import open_task_group
from tests.resilience.conftest import World, run_async


def test_without_one_the_time_is_infinite(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        return [remaining()]

    assert same_trace(scenario) == [math.inf]


def test_it_counts_down_nests_and_is_never_lengthened(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        trace: list[object] = []
        with deadline(10.0, clock=world.clock):
            trace.append(round(remaining(), 6))
            await world.sleep(4.0)
            trace.append(round(remaining(), 6))
            with deadline(100.0, clock=world.clock):
                trace.append(round(remaining(), 6))
                with deadline(2.0, clock=world.clock):
                    trace.append(round(remaining(), 6))
                    await world.sleep(1.0)
                    trace.append(round(remaining(), 6))
            trace.append(round(remaining(), 6))
        trace.append(remaining())
        return trace

    assert same_trace(scenario) == [10.0, 6.0, 6.0, 2.0, 1.0, 5.0, math.inf]


def test_it_ends_what_runs_inside(run) -> None:
    async def main() -> None:
        start = anyio.current_time()
        with pytest.raises(DeadlineExceeded) as caught, deadline(3.0):
            await anyio.sleep_forever()
        assert anyio.current_time() - start == pytest.approx(3.0)
        assert caught.value.seconds == 3.0
        assert isinstance(caught.value, TimeoutError)

    run(main)


def test_the_shorter_of_two_is_the_one_that_is_raised(run) -> None:
    async def main() -> None:
        with pytest.raises(DeadlineExceeded) as caught, deadline(2.0), deadline(5.0):
            await anyio.sleep_forever()
        assert caught.value.seconds == 2.0
        with pytest.raises(DeadlineExceeded) as caught, deadline(5.0), deadline(2.0):
            await anyio.sleep_forever()
        assert caught.value.seconds == 2.0

    run(main)


def test_a_result_that_is_there_is_kept_and_a_cancellation_from_outside_stays_one(run) -> None:
    async def main() -> None:
        with deadline(1.0):
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5.0)
            result = "there"
        assert result == "there"
        with anyio.move_on_after(1.0) as scope:
            with deadline(1.0):
                await anyio.sleep_forever()
        assert scope.cancelled_caught

    run(main)


def test_an_exception_of_the_block_goes_through_as_it_is(run) -> None:
    async def main() -> None:
        error = ValueError("mine")
        with pytest.raises(ValueError, match="mine") as caught, deadline(1.0):
            raise error
        assert caught.value is error

    run(main)


def test_plain_code_that_overruns_keeps_its_result() -> None:
    clock = FakeClock()
    with deadline(1.0, clock=clock):
        clock.advance(5.0)
        assert remaining() == 0.0


def test_infinity_sets_none_and_one_serves_one_block(run) -> None:
    async def main() -> None:
        with deadline(math.inf):
            assert remaining() == math.inf
            await anyio.sleep(1000)
        one = deadline(1.0)
        with one:
            pass
        with pytest.raises(RuntimeError, match="one block"), one:
            pass

    run(main)


@pytest.mark.parametrize("seconds", [-1.0, math.nan, "5", None])
def test_nonsense_is_refused(seconds: object) -> None:
    with pytest.raises(ValueError, match="seconds must be a number of seconds at least 0, not"):
        deadline(seconds)


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
            for hidden in (False, True):
                innermost = ambient.get()
                if hidden:
                    monkeypatch.setattr(innermost, "_mark", None)
                answers.append(in_force() is innermost)
        with deadline(5.0):
            assert ambient.get()._mark is not None, "the private names that make it short have changed"
            assert in_force() is ambient.get()
        assert answers == [not shield] * 2

    run(main)


def test_without_the_private_names_all_is_the_same(run, monkeypatch) -> None:
    monkeypatch.setattr(event_loop._AsyncioEventLoop, "scope_id_of", lambda self, task: None)
    monkeypatch.setattr(event_loop._TrioEventLoop, "scope_id_of", lambda self, task: None)

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
