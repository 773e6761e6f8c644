"""A template behind its socket: what it answers, and the workers that it forks."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cqox.analysis.workers.environment import template_environment
from cqox.analysis.workers.limits import ProcessLimits
from cqox.analysis.workers.protocol import Decoder, Frame, encode
from tests.waiting import wait_until

CHORES = "tests.analysis.workers.chores"
SECONDS = 90


@dataclass
class Forked:
    """A worker that a template has forked."""

    pid: int
    socket: socket.socket
    held: int
    decoder: Decoder = field(default_factory=Decoder)
    frames: list[Frame] = field(default_factory=list)

    def receive(self) -> Frame:
        while not self.frames:
            data = self.socket.recv(1 << 16)
            assert data, "the process has closed its socket"
            self.frames += self.decoder.feed(data)
        return self.frames.pop(0)

    def run(self, name: str) -> Frame:
        self.socket.sendall(encode(Frame(kind="task", job=1, body={"name": name, "arguments": {}})))
        return self.receive()


@dataclass
class Template:
    """A template and its socket."""

    process: subprocess.Popen[bytes]
    socket: socket.socket

    def answer(self) -> dict[str, object]:
        return dict(json.loads(self.socket.recv(4096)))

    @contextmanager
    def fork(self) -> Iterator[Forked]:
        """A worker that is ready."""
        ours, theirs = socket.socketpair()
        lifeline, held = os.pipe()
        socket.send_fds(self.socket, [ProcessLimits().to_argument().encode()], [theirs.fileno(), lifeline])
        theirs.close()
        os.close(lifeline)
        ours.settimeout(SECONDS)
        with ours:
            worker = Forked(int(str(self.answer()["pid"])), ours, held)
            try:
                ready = worker.receive()
                assert (ready.kind, ready.job) == ("ready", 0)
                assert "no-new-privileges" in str(ready.body["confined"])
                yield worker
            finally:
                # Its lifeline ends it.
                os.close(held)
                wait_until(lambda: gone(worker.pid))


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextmanager
def started(work: str = CHORES, **environment: str) -> Iterator[Template]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    lifeline, held = os.pipe()
    handles = (theirs.fileno(), lifeline)
    process = subprocess.Popen(
        [sys.executable, "-m", "cqox.analysis.workers.template", *map(str, handles), work],
        pass_fds=handles, start_new_session=True, stdin=subprocess.DEVNULL,
        env=template_environment({**os.environ, **environment}, threads=1),
    )  # fmt: skip
    theirs.close()
    os.close(lifeline)
    ours.settimeout(SECONDS)
    with ours:
        try:
            yield Template(process, ours)
        finally:
            os.close(held)
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    with started() as found:
        assert found.answer() == {"pid": 0, "threads": [], "errno": 0}
        yield found


def test_a_forked_worker_answers_and_leads_a_group_of_its_own(template: Template) -> None:
    with template.fork() as worker:
        result = worker.run("echo")
        assert (result.body["pid"], result.payload) == (worker.pid, b"payload")
        assert os.getsid(worker.pid) == os.getpgid(worker.pid) == worker.pid
        assert Path(f"/proc/{worker.pid}/comm").read_text() == "cqox:idle\n"


def test_workers_are_no_children_of_their_template_and_hold_none_of_its_descriptors(template: Template) -> None:
    with template.fork() as worker:
        status = Path(f"/proc/{worker.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        assert int(status[1]) != template.process.pid
        children = Path(f"/proc/{template.process.pid}/task/{template.process.pid}/children").read_text()
        assert children == ""
        files = worker.run("look").body["files"]
        assert isinstance(files, list)
        # Its input, output and error; the pipe that ends it with its engine; the socket to its engine.
        assert len(files) <= 5, files


def test_two_workers_draw_different_random_numbers(template: Template) -> None:
    with template.fork() as one, template.fork() as other:
        first, second = one.run("draw").body, other.run("draw").body
        assert first["standard_library"] != second["standard_library"]
        assert first["numpy"] != second["numpy"]


def test_a_worker_exits_once_its_socket_is_closed_and_the_template_goes_on(template: Template) -> None:
    with template.fork() as worker:
        worker.socket.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: gone(worker.pid))
    with template.fork() as another:
        assert another.run("echo").kind == "result"


def test_a_template_is_named_for_what_it_is_and_ignores_a_sigint(template: Template) -> None:
    assert Path(f"/proc/{template.process.pid}/comm").read_text() == "cqox:template\n"
    template.process.send_signal(signal.SIGINT)
    with template.fork() as worker:
        assert worker.run("echo").kind == "result"


def test_workers_go_on_after_their_template_has_exited() -> None:
    with started() as template:
        template.answer()
        with template.fork() as worker:
            template.process.kill()
            template.process.wait()
            assert worker.run("echo").body["pid"] == worker.pid


def test_a_template_exits_once_its_socket_is_closed() -> None:
    with started() as template:
        template.answer()
        template.socket.shutdown(socket.SHUT_RDWR)
        assert template.process.wait(SECONDS) == 0


@pytest.mark.parametrize("when", ["load", "later"])
def test_a_template_with_a_thread_names_it_and_forks_nothing(when: str, tmp_path: Path) -> None:
    (tmp_path / "threaded.py").write_text(
        "import signal, threading, time\n"
        "def begin(*_):\n    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        f"def load():\n    begin() if {when == 'load'} else signal.signal(signal.SIGUSR1, begin)\n"
    )
    with started("threaded", PYTHONPATH=os.pathsep.join([str(tmp_path), os.getcwd()])) as template:
        loaded = template.answer()
        if when == "load":
            assert loaded["threads"]
        else:
            assert not loaded["threads"]
            template.process.send_signal(signal.SIGUSR1)
            wait_until(lambda: len(os.listdir(f"/proc/{template.process.pid}/task")) == 2)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            socket.send_fds(
                template.socket, [ProcessLimits().to_argument().encode()], [theirs.fileno(), theirs.fileno()]
            )
            answer = template.answer()
        assert answer["threads"]
        assert answer["pid"] == 0
