"""Calls from threads and loops into a loop of their own."""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from cqox.api.portal import Portal
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

type OnStep = Callable[[Mapping[str, object]], None]


class Resource:
    """Counts how often it is opened and closed."""

    opened = closed = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Resource"]:
        self.opened += 1
        try:
            yield self
        finally:
            self.closed += 1


async def double(resource: Resource, on_step: OnStep) -> int:
    on_step({"step": "one"})
    await anyio.lowlevel.checkpoint()
    on_step({"step": "two"})
    return 2 * resource.opened


def test_the_resource_opens_before_the_first_call_if_wanted() -> None:
    resource = Resource()
    portal = Portal(resource.open)
    portal.begin()
    portal.begin()
    assert portal.start(double).wait() == 2
    portal.close()
    assert (resource.opened, resource.closed) == (1, 1)


def test_calls_share_one_resource_until_the_end() -> None:
    resource = Resource()
    portal = Portal(resource.open)
    steps: list[Mapping[str, object]] = []
    threads: list[int] = []

    def note(step: Mapping[str, object]) -> None:
        steps.append(step)
        threads.append(threading.get_ident())

    assert portal.start(double).wait(note) == 2
    assert portal.start(double).wait() == 2
    assert [step["step"] for step in steps] == ["one", "two"]
    assert set(threads) == {threading.get_ident()}
    portal.close()
    assert (resource.opened, resource.closed) == (1, 1)
    assert portal.start(double).wait() == 4
    portal.close()
    portal.close()
    assert resource.closed == 2


def test_a_portal_whose_resource_cannot_be_opened_can_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def fail() -> AsyncIterator[Resource]:
        raise LookupError("no resource")
        yield Resource()

    # The thread ends a moment after the error; until then the loop is alive.
    monkeypatch.setattr("cqox.api.portal._Loop.is_alive", lambda _: True)
    portal = Portal(fail)
    with pytest.raises(LookupError, match="no resource"):
        portal.start(double)
    portal.close()


def test_an_exception_of_the_call_comes_as_it_is() -> None:
    async def fail(_: Resource, __: OnStep) -> None:
        raise LookupError("gone")

    portal = Portal(Resource().open)
    with pytest.raises(LookupError, match="gone"):
        portal.start(fail).wait()
    assert portal.start(double).wait() == 2
    portal.close()


def test_an_error_of_the_input_shows_the_lines_of_the_caller_alone() -> None:
    async def refuse(resource: Resource, on_step: OnStep) -> None:
        try:
            raise ValueError("in the worker")
        except ValueError as cause:
            raise InvalidRequest(Message("analysis.unknown-column", column="a", use="y")) from cause

    portal = Portal(Resource().open)
    with pytest.raises(InvalidRequest) as caught:
        portal.start(refuse).wait()
    portal.close()
    shown = "".join(traceback.format_exception(caught.value))
    assert "in the worker" not in shown
    assert len(traceback.extract_tb(caught.value.__traceback__)) == 3


def test_a_resource_that_does_not_open_says_why_to_every_caller() -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[Resource]:
        raise OSError("no space")
        yield

    portal: Portal[Resource] = Portal(broken)
    for _ in range(2):
        with pytest.raises(OSError, match="no space"):
            portal.start(double).wait()


def test_an_exception_of_the_caller_cancels_the_call() -> None:
    ended = threading.Event()

    async def endless(_: Resource, on_step: OnStep) -> None:
        try:
            on_step({"step": "begun"})
            await anyio.sleep_forever()
        finally:
            ended.set()

    def interrupt(_: Mapping[str, object]) -> None:
        raise KeyboardInterrupt

    portal = Portal(Resource().open)
    with pytest.raises(KeyboardInterrupt):
        portal.start(endless).wait(interrupt)
    assert ended.wait(10)
    portal.close()


@pytest.mark.anyio
async def test_a_synchronous_call_works_inside_a_running_loop() -> None:
    portal = Portal(Resource().open)
    assert portal.start(double).wait() == 2
    portal.close()


def test_a_loop_that_fails_ends_what_waits_and_the_next_call_opens_another() -> None:
    fail = threading.Event()

    @asynccontextmanager
    async def failing() -> AsyncIterator[Resource]:
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            yield Resource()
            group.cancel_scope.cancel()

    async def watch() -> None:
        while not fail.is_set():
            await anyio.sleep(0.01)
        fail.clear()
        raise OSError("the worker is gone")

    async def endless(_: Resource, __: OnStep) -> None:
        fail.set()
        await anyio.sleep_forever()

    portal = Portal(failing)
    with pytest.raises((OSError, CancelledError)):
        portal.start(endless).wait()
    assert portal.start(double).wait() == 0
    portal.close()


@pytest.mark.anyio
async def test_calls_from_a_loop_leave_it_free_and_follow_its_cancellation() -> None:
    begun, ended = threading.Event(), threading.Event()

    async def endless(_: Resource, on_step: OnStep) -> None:
        try:
            begun.set()
            await anyio.sleep_forever()
        finally:
            ended.set()

    portal = Portal(Resource().open)
    assert await portal.start(double).wait_async() == 2
    async with anyio.create_task_group() as group:
        group.start_soon(portal.start(endless).wait_async)
        while not begun.is_set():
            await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    while not ended.is_set():
        await anyio.sleep(0.01)
    await anyio.to_thread.run_sync(portal.close)


def test_a_signal_ends_the_wait_at_once() -> None:
    portal = Portal(Resource().open)

    async def endless(_: Resource, __: OnStep) -> None:
        await anyio.sleep_forever()

    call = portal.start(endless)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        call.wait()
    timer.join()
    portal.close()


class PanicException(BaseException):
    """A panic as a library in Rust raises it."""


@pytest.mark.parametrize("nested", [False, True])
def test_a_panic_belongs_to_its_call_and_ends_no_other(nested: bool) -> None:
    panic = PanicException("unwrap on None")

    async def fail(_: Resource, __: OnStep) -> None:
        raise BaseExceptionGroup("tasks", [panic]) if nested else panic

    async def slow(_: Resource, on_step: OnStep) -> str:
        on_step({"step": "started"})
        await anyio.sleep(0.3)
        return "kept"

    portal = Portal(Resource().open)
    other = portal.start(slow)
    with pytest.raises(RuntimeError, match="unwrap on None") as caught:
        portal.start(fail).wait()
    assert caught.value.__cause__ is panic
    assert other.wait() == "kept"
    portal.close()


def test_a_forked_child_opens_its_own() -> None:
    code = """
import os, sys
sys.path.insert(0, ".")
from tests.api.test_portal import Portal, Resource, double
portal = Portal(Resource().open)
portal.start(double).wait()
pid = os.fork()
if not pid:
    os._exit(portal.start(double).wait() != 4)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "0", done.stderr
    assert time.monotonic() - began < 60


def test_a_temporary_folder_is_there_until_the_resource_is_closed_at_the_exit() -> None:
    code = """if True:
        import tempfile
        from contextlib import asynccontextmanager
        from pathlib import Path

        from cqox.api.portal import Portal

        @asynccontextmanager
        async def open_folder():
            with tempfile.TemporaryDirectory() as name:
                yield Path(name)
                print("there" if Path(name).is_dir() else "removed")

        async def is_there(folder, on_step):
            return folder.is_dir()

        print(Portal(open_folder).start(is_there).wait())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout.split(), done.stderr) == (["True", "there"], "")


def test_steps_can_be_taken_one_by_one_and_a_call_that_is_left_is_cancelled() -> None:
    ended = threading.Event()

    async def count(_: Resource, on_step: OnStep) -> int:
        try:
            for number in range(3):
                on_step({"step": number})
            await anyio.sleep_forever()
        finally:
            ended.set()
        return 0

    portal = Portal(Resource().open)
    steps = portal.start(count).steps()
    assert [next(steps)["step"] for _ in range(3)] == [0, 1, 2]
    assert not ended.is_set()
    steps.close()  # type: ignore[attr-defined]
    assert ended.wait(60)
    assert [step["step"] for step in portal.start(double).steps()] == ["one", "two"]
    portal.close()
