"""A worker process behind its socket: the frames that it sends."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from cqox.analysis.workers.limits import ProcessLimits
from cqox.analysis.workers.protocol import Decoder, Frame, encode

CHORES = "tests.analysis.workers.chores"


class Child:
    """A worker process."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        lifeline, self.held = os.pipe()
        handles = (theirs.fileno(), lifeline)
        limits = ProcessLimits().to_argument()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cqox.analysis.workers.child", *map(str, handles), limits, CHORES],
            pass_fds=handles, start_new_session=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        os.close(lifeline)
        self.socket.settimeout(90)
        self.decoder = Decoder()
        self.frames: list[Frame] = []
        self.jobs = 0

    def receive(self) -> Frame:
        while not self.frames:
            data = self.socket.recv(1 << 16)
            assert data, "the process has closed its socket"
            self.frames += self.decoder.feed(data)
        return self.frames.pop(0)

    def run(self, name: str, **arguments: object) -> list[Frame]:
        """Run a task and return its frames, the result last."""
        self.jobs += 1
        self.socket.sendall(encode(Frame(kind="task", job=self.jobs, body={"name": name, "arguments": arguments})))
        frames = [self.receive()]
        while frames[-1].kind in ("log", "progress"):
            frames.append(self.receive())
        assert {frame.job for frame in frames} == {self.jobs}
        return frames

    def close(self) -> None:
        os.close(self.held)
        self.process.kill()
        self.process.wait()
        self.socket.close()


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with closing(Child()) as started:
        ready = started.receive()
        while ready.kind == "log":
            ready = started.receive()
        assert (ready.kind, ready.job) == ("ready", 0)
        assert "no-new-privileges" in str(ready.body["confined"])
        yield started


def test_a_task_is_answered_with_its_values_and_bytes(child: Child) -> None:
    (result,) = child.run("echo", text="日本")
    assert (result.kind, result.payload) == ("result", b"payload")
    assert result.body == {"pid": child.process.pid, "text": "日本"}


def test_what_is_loaded_is_out_of_the_collector_s_sight(child: Child) -> None:
    (result,) = child.run("frozen")
    assert int(str(result.body["objects"])) > 10_000


def test_steps_and_log_records_come_before_the_result(child: Child) -> None:
    frames = child.run("steps")
    assert [frame.kind for frame in frames] == ["progress"] * 3 + ["log", "result"]
    assert frames[3].body == {"logger": "chores", "level": 30, "message": "three steps taken"}


def test_invalid_input_keeps_its_class_field_and_choices(child: Child) -> None:
    (error,) = child.run("refuse")
    assert error.kind == "error"
    assert (error.body["error"], error.body["field"], error.body["choices"]) == (
        "InvalidRequest", "mapping.y", ["a", "b"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "error", "detail"),
    [
        ("crash", "ZeroDivisionError", "Traceback"),
        ("not-json", "TypeError", "Traceback"),
        ("no-room", "StorageFull", "full"),
    ],
)
def test_an_error_is_sent_by_name_and_the_process_goes_on(child: Child, name: str, error: str, detail: str) -> None:
    frame = child.run(name)[-1]
    assert (frame.kind, frame.body["error"]) == ("error", error)
    assert detail in str(frame.body["detail"])
    assert child.run("echo")[-1].kind == "result"


def test_a_cancelled_task_is_answered_as_such_and_the_next_one_runs(child: Child) -> None:
    child.jobs += 1
    body: dict[str, object] = {"name": "stride", "arguments": {"seconds": 60}}
    child.socket.sendall(encode(Frame(kind="task", job=child.jobs, body=body)))
    assert child.receive().kind == "progress"
    child.socket.sendall(encode(Frame(kind="cancel", job=child.jobs)))
    assert child.receive() == Frame(kind="cancelled", job=child.jobs)
    assert child.run("echo")[-1].kind == "result"


def test_the_process_exits_once_its_socket_is_closed(child: Child) -> None:
    child.socket.shutdown(socket.SHUT_RDWR)
    assert child.process.wait(90) == 0
