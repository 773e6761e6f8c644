"""The command as a process, against a real HTTP server and in a pseudo-terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.resilience.top.server import MetricsServer
from tests.servers.ports import free_port
from tests.waiting import PATIENCE_SECONDS, wait_until

OPEN = b'cqox_circuit_state{policy="orders",state="open"} 1\n'
CLOSED = b'cqox_circuit_state{policy="orders",state="closed"} 1\n'
TOP = [sys.executable, "-m", "cqox.resilience", "top"]


def top(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TOP, *arguments], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)


def test_once_prints_a_table_and_exits_with_0(server: MetricsServer) -> None:
    server.body = OPEN
    finished = top(server.url, "--once", "--interval", "0.1")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert re.search(r"^orders +open ", finished.stdout, re.MULTILINE)
    assert "\x1b" not in finished.stdout
    assert len(server.asked) == 2


def test_a_token_is_read_from_its_file(server: MetricsServer, tmp_path: Path) -> None:
    server.body = OPEN
    (tmp_path / "token").write_text("secret\n")
    assert top(server.url, "--once", "--interval", "0.1", "--token-file", str(tmp_path / "token")).returncode == 0
    assert {headers["Authorization"] for _, headers in server.asked} == {"Bearer secret"}


@pytest.mark.parametrize("content", ["", "two\nlines", "snow\N{SNOWMAN}"])
def test_a_file_without_a_token_is_a_wrong_command_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content, encoding="utf-8")
    finished = top("app", "--once", "--token-file", str(tmp_path / "token"))
    assert finished.returncode == 2
    assert "holds no token" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_nobody_there_is_1_with_a_sentence_and_no_traceback() -> None:
    for more in (["--once"], []):
        finished = top(f"127.0.0.1:{free_port()}", *more)
        assert finished.returncode == 1
        assert finished.stdout == ""
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics cannot be reached: Connection refused\n", finished.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["ftp://app"],
        ["app", "--interval", "0"],
        ["app", "--interval", "nan"],
        ["app", "--nonsense"],
        ["app", "--token-file", "/nowhere"],
    ],
)
def test_a_wrong_command_line_is_2(arguments: list[str]) -> None:
    finished = top(*arguments)
    assert finished.returncode == 2
    assert "usage:" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_help_names_options_and_exit_codes() -> None:
    finished = top("--help")
    assert finished.returncode == 0
    for word in ("--once", "--interval", "--token-file", "exit codes"):
        assert word in finished.stdout


def test_without_rich_the_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['rich'] = None\n"
        "from cqox.resilience.__main__ import main\n"
        "sys.exit(main(['top', 'app']))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert finished.stderr == "top needs rich, which is not installed: pip install 'cqox[top]'\n"


class Terminal:
    """A process in a pseudo-terminal, and all that it has written."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self.written = ""

    def shows(self, words: str) -> bool:
        """Return whether `words` were written since the last time that this was true."""
        if select.select([self._master], [], [], 0.05)[0]:
            with suppress(OSError):  # the process has closed its side
                self.written += os.read(self._master, 65536).decode(errors="replace")
        found = words in self.written
        if found:
            self.written = self.written[self.written.rindex(words) + len(words) :]
        return found

    def drain(self) -> str:
        """Read what is left after the end of the process."""
        end = time.monotonic() + 1.0
        while time.monotonic() < end and not self.shows("\0"):
            pass
        return self.written


@contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    process = subprocess.Popen([*TOP, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_a_terminal_is_renewed_outlives_its_server_and_is_given_back_at_ctrl_c(server: MetricsServer) -> None:
    server.body = OPEN
    with terminal(server.url, "--interval", "0.1") as seen:
        wait_until(lambda: seen.shows("open"))
        server.body = CLOSED
        wait_until(lambda: seen.shows("closed"))
        server.stop()
        wait_until(lambda: seen.shows("cannot be reached"))
        assert seen.process.poll() is None
        server.body = OPEN
        server.start()
        wait_until(lambda: seen.shows("open"))
        seen.process.send_signal(signal.SIGINT)
        assert seen.process.wait(PATIENCE_SECONDS) == 130
        left = seen.drain()
    assert "\x1b[?1049l" in left  # the screen from before
    assert "\x1b[?25h" in left  # the cursor
    assert "Traceback" not in left


def test_a_termination_gives_the_terminal_back_too(server: MetricsServer) -> None:
    server.body = OPEN
    with terminal(server.url, "--interval", "0.1") as seen:
        wait_until(lambda: seen.shows("orders"))
        seen.process.terminate()
        assert seen.process.wait(PATIENCE_SECONDS) == 143
        assert "\x1b[?1049l" in seen.drain()


def test_without_a_terminal_one_table_follows_another(server: MetricsServer) -> None:
    server.body = OPEN
    process = subprocess.Popen([*TOP, server.url, "--interval", "0.1"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        seen = 0
        while seen < 3:
            seen += process.stdout.readline().startswith("orders")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
