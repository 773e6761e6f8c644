"""The watch of sockets that notices clients that leave: what it registers, wakes and forgets."""

import os
import socket
from functools import partial

import pytest
import trio
import trio.testing

from cqox import telemetry
from cqox.tasks import observe_tasks, open_task_group
from cqox.telemetry.tasks import TaskSpans
from services.http.server.disconnects import DisconnectWatch, Watched
from tests.recorded import Kept
from tests.waiting import PATIENCE_SECONDS


@pytest.mark.trio
async def test_a_watch_that_is_not_open_or_cannot_register_watches_nothing() -> None:
    watch, scope = DisconnectWatch(), trio.CancelScope()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert watch.watch(ours.fileno(), never, scope) is None
        async with watch.opened():
            assert watch.watch(10**6, never, scope) is None
            watched = watch.watch(ours.fileno(), never, scope)
            assert watched is not None
            # As for another user of the descriptor.
            assert watch.watch(ours.fileno(), never, scope) is None
            async with watched:
                pass
            assert watch.watch(ours.fileno(), never, scope) is not None
        assert watch.watch(ours.fileno(), never, scope) is None


@pytest.mark.trio
async def test_the_end_of_the_block_waits_for_the_task_that_receives_also_where_it_is_cancelled() -> None:
    watch, received = DisconnectWatch(), list[str]()
    ours, theirs = socket.socketpair()
    started = trio.Event()

    async def receive() -> object:
        started.set()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            received.append("ended")

    with ours, theirs:
        async with watch.opened():
            with trio.CancelScope() as scope:
                watched = watch.watch(ours.fileno(), receive, scope)
                assert watched is not None
                async with watched:
                    theirs.send(b"x")
                    await started.wait()
                    scope.cancel()
                    await trio.sleep_forever()
            assert received == ["ended"]
            assert not watched.left


@pytest.mark.trio
async def test_a_socket_that_is_closed_before_the_block_ends_is_forgotten() -> None:
    watch, (ours, theirs) = DisconnectWatch(), socket.socketpair()
    with theirs:
        async with watch.opened():
            watched = watch.watch(ours.fileno(), partial(never), trio.CancelScope())
            assert watched is not None
            async with watched:
                ours.close()


@pytest.mark.trio
async def test_another_connection_with_the_descriptor_of_one_that_was_closed_stays_watched() -> None:
    watch, (old, theirs), (new, client) = DisconnectWatch(), socket.socketpair(), socket.socketpair()
    with theirs, new, client, trio.fail_after(PATIENCE_SECONDS):
        async with watch.opened():
            first = watch.watch(old.fileno(), never, trio.CancelScope())
            assert first is not None
            async with first:
                descriptor = old.fileno()
                old.close()
                # The kernel gives the lowest number that is free; here it is taken by force.
                reused = socket.socket(fileno=dup2(new, descriptor))
                with reused, trio.CancelScope() as handling:
                    second = watch.watch(descriptor, gone, handling)
                    assert second is not None
                    await first.end()
                    client.send(b"x")
                    async with second:
                        await trio.sleep_forever()
    assert handling.cancelled_caught
    assert second.left


@pytest.mark.trio
async def test_a_second_event_of_a_connection_starts_no_second_reader() -> None:
    watch, (ours, theirs), reading = DisconnectWatch(), socket.socketpair(), list[int]()

    async def receive() -> object:
        reading.append(1)
        return await never()

    with ours, theirs:
        async with watch.opened(), open_task_group("test") as group:
            watched = watch.watch(ours.fileno(), receive, trio.CancelScope())
            assert watched is not None
            async with watched:
                watched.start(group)
                watched.start(group)
                await trio.testing.wait_all_tasks_blocked()
    assert reading == [1]


@pytest.mark.trio
async def test_what_is_not_read_at_once_wakes_the_watch_once() -> None:
    watch, (ours, theirs), waits = DisconnectWatch(), socket.socketpair(), list[int]()

    class Counting(trio.abc.Instrument):
        def task_scheduled(self, task: trio.lowlevel.Task) -> None:
            waits.extend([1] if task.name == "disconnects" else [])

    with ours, theirs:
        async with watch.opened():
            watched = watch.watch(ours.fileno(), never, trio.CancelScope())
            assert watched is not None
            async with watched:
                theirs.send(b"x")
                trio.lowlevel.add_instrument(counting := Counting())
                for _ in range(50):
                    await trio.lowlevel.checkpoint()
                trio.lowlevel.remove_instrument(counting)
    assert len(waits) <= 2


@pytest.mark.trio
async def test_a_watch_that_fails_cancels_the_block_of_its_app(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, (ours, theirs) = DisconnectWatch(), socket.socketpair()

    def broken(self: Watched, group: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Watched, "start", broken)

    async def serve_app() -> None:
        async with watch.opened():
            assert watch.watch(ours.fileno(), never, trio.CancelScope()) is not None
            theirs.send(b"x")
            await trio.sleep_forever()

    with ours, theirs, trio.fail_after(PATIENCE_SECONDS), pytest.raises(ExceptionGroup) as raised:
        await serve_app()
    assert raised.group_contains(ZeroDivisionError)
    assert watch.watch(1, never, trio.CancelScope()) is None


@pytest.mark.trio
async def test_what_is_received_starts_no_trace(kept: Kept) -> None:
    watch, (ours, theirs), silent = DisconnectWatch(), socket.socketpair(), list[bool]()

    async def receive() -> object:
        silent.append(telemetry.current_span().silent)
        return await gone()

    before = observe_tasks(TaskSpans(kept.recorder))
    try:
        with ours, theirs:
            async with watch.opened():
                with trio.CancelScope() as handling:
                    watched = watch.watch(ours.fileno(), receive, handling)
                    assert watched is not None
                    async with watched:
                        theirs.send(b"x")
                        await trio.sleep_forever()
    finally:
        observe_tasks(before)
    assert silent == [True]
    assert kept.spans == ()


async def gone() -> object:
    return {"type": "http.disconnect"}


def dup2(one: socket.socket, descriptor: int) -> int:
    return os.dup2(one.fileno(), descriptor, inheritable=False)


async def never() -> object:
    await trio.sleep_forever()
    raise AssertionError
