"""The engine's side of a worker process, against a worker that a test plays."""

import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

import anyio
import pytest
from anyio.abc import Process, UNIXSocketStream

from cqox.analysis.workers.failures import TaskFailed
from cqox.analysis.workers.limits import ProcessLimits
from cqox.analysis.workers.process import WorkerProcess
from cqox.analysis.workers.protocol import Decoder, Frame, Kind, encode
from cqox.analysis.workers.reply import Reply
from cqox.errors import InvalidRequest, LimitExceeded, StorageFull, StoreUnavailable, WorkerLost

pytestmark = pytest.mark.anyio
UNLIMITED = ProcessLimits()


class Actor:
    """A worker process: its exit status, the signals it was sent, and its end of the socket."""

    def __init__(self, stream: UNIXSocketStream) -> None:
        self.stream = stream
        self.decoder = Decoder()
        self.frames: list[Frame] = []
        self.signals: list[int] = []
        self.returncode: int | None = None
        self.exited = anyio.Event()
        # Its CPU clock is that of this process.
        self.pid = os.getpid()

    def send_signal(self, number: int) -> None:
        self.signals.append(number)
        self.exit(-number)

    def exit(self, status: int) -> None:
        if self.returncode is None:
            self.returncode = status
        self.exited.set()

    async def wait(self) -> int:
        await self.exited.wait()
        assert self.returncode is not None
        return self.returncode

    async def receive(self) -> Frame:
        while not self.frames:
            self.frames += self.decoder.feed(await self.stream.receive())
        return self.frames.pop(0)

    async def say(self, kind: Kind, job: int = 1, payload: bytes = b"", **body: object) -> None:
        await self.stream.send(encode(Frame(kind=kind, job=job, body=body, payload=payload)))


type Pair = tuple[WorkerProcess, Actor]


@asynccontextmanager
async def opened(limits: ProcessLimits = UNLIMITED) -> AsyncIterator[Pair]:
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.setblocking(False)
    stream, other = [await UNIXSocketStream.from_socket(each) for each in (ours, theirs)]
    actor = Actor(other)
    try:
        with anyio.fail_after(60):
            yield WorkerProcess(cast("Process", actor), stream, -1, limits), actor
    finally:
        await anyio.aclose_forcefully(stream)
        await anyio.aclose_forcefully(other)


async def test_a_task_is_sent_with_its_name_and_arguments_and_its_result_returned() -> None:
    async with opened() as (worker, actor):
        await actor.say("result", 1, b"bytes", rows=3)
        await actor.say("result", 2)
        reply = await worker.run("echo", {"number": 7})
        assert await worker.run("next", {}) == Reply(body={}, payload=b"")
        task = await actor.receive()
        assert (task.kind, task.job, task.body["name"], task.body["arguments"]) == ("task", 1, "echo", {"number": 7})
        assert reply == Reply(body={"rows": 3}, payload=b"bytes")
        assert worker.alive
        assert not worker.abandoned


async def test_steps_go_to_the_caller_and_log_records_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    steps: list[Mapping[str, object]] = []
    async with opened() as (worker, actor):
        await actor.say("progress", step="read")
        await actor.say("log", logger="chores", level=logging.WARNING, message="100%s")
        await actor.say("result")
        await worker.run("echo", {}, steps.append)
    assert steps == [{"step": "read"}]
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("chores", "WARNING", "100%s")
    ]


@pytest.mark.parametrize(
    ("sent", "raised"),
    [
        ("MemoryError", LimitExceeded), ("FileTooLarge", LimitExceeded), ("StoreUnavailable", StoreUnavailable),
        ("StorageFull", StorageFull), ("InvalidRequest", InvalidRequest), ("ZeroDivisionError", TaskFailed),
        ("WorkerLost", TaskFailed), ("__doc__", TaskFailed),
    ],
)  # fmt: skip
async def test_an_error_of_a_task_is_raised_by_its_class_and_costs_no_process(
    sent: str, raised: type[Exception]
) -> None:
    async with opened() as (worker, actor):
        await actor.say("error", error=sent, detail="why")
        with pytest.raises(raised) as caught:
            await worker.run("echo", {})
        assert type(caught.value) is raised
        assert worker.alive
        assert not worker.abandoned


async def test_invalid_input_has_its_message_field_and_choices() -> None:
    message = {"code": "analysis.no-job", "params": {"job": "j"}}
    async with opened() as (worker, actor):
        await actor.say("error", error="InvalidRequest", detail="x", field="f", choices=["a", 1], message=message)
        with pytest.raises(InvalidRequest) as caught:
            await worker.run("echo", {})
    assert (caught.value.detail, caught.value.field, caught.value.choices) == ("x", "f", ("a", "1"))
    assert (caught.value.detail.code, caught.value.detail.params) == ("analysis.no-job", {"job": "j"})


async def test_a_process_that_answers_another_job_or_no_frame_is_killed() -> None:
    for wrong in (encode(Frame(kind="result", job=2)), b"HTTP/1.1 200 OK\r\n\r\n"):
        async with opened() as (worker, actor):
            await actor.stream.send(wrong)
            with pytest.raises(WorkerLost):
                await worker.run("echo", {})
            assert actor.signals == [signal.SIGKILL]
            assert not worker.alive


@pytest.mark.parametrize(
    ("status", "memory_bytes", "raised"),
    [
        (1, 0, WorkerLost), (-signal.SIGSEGV, 1, WorkerLost), (-signal.SIGABRT, 0, WorkerLost),
        (-signal.SIGABRT, 1, LimitExceeded), (-signal.SIGXCPU, 0, LimitExceeded),
    ],
)  # fmt: skip
async def test_the_way_a_process_exits_decides_between_a_limit_and_a_crash(
    status: int, memory_bytes: int, raised: type[Exception]
) -> None:
    async with opened(ProcessLimits(memory_bytes=memory_bytes)) as (worker, actor):
        actor.exit(status)
        await actor.stream.aclose()
        with pytest.raises(raised) as caught:
            await worker.run("echo", {})
        assert type(caught.value) is raised


async def abandoned(worker: WorkerProcess, actor: Actor) -> None:
    """Cancel a task once the worker has it."""
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run, "echo", {})
        assert (await actor.receive()).kind == "task"
        group.cancel_scope.cancel()
    assert worker.abandoned


async def test_a_task_that_ends_after_its_cancellation_leaves_a_process_for_the_next() -> None:
    async with opened() as (worker, actor):
        await abandoned(worker, actor)
        await actor.say("progress", step="late")
        await actor.say("cancelled")
        await worker.settle(30)
        assert (await actor.receive()) == Frame(kind="cancel", job=1)
        assert worker.alive
        assert not worker.abandoned


async def test_a_task_that_does_not_end_after_its_cancellation_costs_the_process() -> None:
    async with opened() as (worker, actor):
        await abandoned(worker, actor)
        await worker.settle(0.01)
        assert actor.signals == [signal.SIGKILL]
        assert not worker.alive


async def test_a_caller_cancelled_before_its_task_is_sent_costs_nothing() -> None:
    async with opened() as (worker, actor):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await worker.run("echo", {})
        assert worker.alive
        assert not worker.abandoned
        assert not actor.signals


async def test_the_end_of_a_process_releases_its_lifeline() -> None:
    reading, writing = os.pipe()
    async with opened() as (_, actor):
        worker = WorkerProcess(cast("Process", actor), actor.stream, writing, UNLIMITED)
        worker.kill()
        await worker.ended()
        await worker.ended()
    assert os.read(reading, 1) == b""
    os.close(reading)


async def test_a_question_that_fails_leaves_the_process_abandoned_and_not_killed() -> None:
    async def fail(_: Mapping[str, object]) -> bytes:
        raise InvalidRequest("no such table")

    async with opened() as (worker, actor):
        await actor.say("ask", statement="select 1")
        with pytest.raises(InvalidRequest):
            await worker.run("analyze", {}, serve=fail)
        assert worker.alive
        assert worker.abandoned
        assert actor.signals == []


async def test_an_answer_goes_to_the_job_that_asked() -> None:
    async def serve(question: Mapping[str, object]) -> bytes:
        return str(question["statement"]).encode()

    async with opened() as (worker, actor):
        await actor.say("ask", statement="select 1")
        await actor.say("result")
        await worker.run("analyze", {}, serve=serve)
        assert (await actor.receive()).kind == "task"
        answer = await actor.receive()
        assert (answer.kind, answer.job, answer.payload) == ("answer", 1, b"select 1")
