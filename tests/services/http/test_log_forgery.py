"""Hostile input in the log of a real process: one line each, without escape codes or secrets, and without blocking."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.waiting import PATIENCE_SECONDS, wait_until

APP = Path(__file__).with_name("logged_app.py")
FORGED = "x\n12:00:00.000000 [info     ] forged\r\x1b[31mred\x9b2J\x85\u2028\u202eevil\x00"
SECRETS = {
    "Cookie": "session=hunter2-cookie; other=hunter2-other",
    "Authorization": "Basic aHVudGVyMi1iYXNpYw==",
    "Proxy-Authorization": "Bearer hunter2-proxy",
    "X-Api-Key": "hunter2-key",
    "X-Custom-Token": "hunter2-token",
}
HIDDEN = re.compile(r"hunter2|aHVudGVyMi|a-local-that-nobody")
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class Logged:
    """The app as a process with output that is read or not."""

    def __init__(self, format: str) -> None:
        self.format = format
        environment = {**os.environ, "CQOX_LOG_FORMAT": format, "PYTHONUTF8": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(APP)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
        )
        assert self.process.stdout is not None
        self.output = self.process.stdout
        said = self.output.readline().decode()
        self.port = int(re.findall(r"127\.0\.0\.1:(\d+)", said)[0])
        self._lines = [said]
        self._reader: threading.Thread | None = None

    @property
    def text(self) -> str:
        return "".join(self._lines)

    def read(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.output:
            self._lines.append(line.decode("utf-8"))

    def ask(self, target: str, *, seconds: float = 30.0, **headers: str) -> int:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(request.encode("latin-1"))
            answer = b""
            while data := connection.recv(2**16):
                answer += data
        return int(answer.split()[1])

    def end(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        if self._reader is None:
            self.read()
        assert self._reader is not None
        assert self.process.wait(30) == 0
        self._reader.join(30)
        return self.text


@pytest.fixture(params=["console", "json"])
def service(request: pytest.FixtureRequest) -> Iterator[Logged]:
    made = Logged(request.param)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        made.output.close()


def is_record(line: str) -> bool:
    return re.match(r"\d\d:\d\d:\d\d\.\d{6} \[", line) is not None or line.startswith('{"timestamp"')


def spelled(line: str) -> str:
    """Return the visible text of a JSON line."""
    return "\n".join(str(value) for value in json.loads(line).values())


def test_a_500_a_path_and_a_field_neither_forge_lines_nor_steer_a_terminal_nor_show_a_secret(service: Logged) -> None:
    service.read()
    what = quote(FORGED)
    assert service.ask(f"/raise?what={what}", **{name.replace("-", "_"): text for name, text in SECRETS.items()}) == 500
    assert service.ask(f"/log?what={what}", **{name.replace("-", "_"): text for name, text in SECRETS.items()}) == 200
    assert service.ask(f"/nothing/{what}%20200%20[cqox.access]") == 404
    assert service.ask("/nothing?token=hunter2-query") == 404
    assert service.ask("/nothing?erase=reports&%74oken=hunter2%20hunter2&key=hunter2") == 404
    text = service.end()

    assert not UNSAFE.search(text)
    assert not HIDDEN.search(text)
    lines = text.removesuffix("\n").split("\n")
    assert not [line for line in lines if not is_record(line) and not line.startswith("    ")]
    assert not [line for line in lines if is_record(line) and line.startswith("12:00:00.000000")]
    shown = text if service.format == "console" else "\n".join(map(spelled, lines))
    # In two messages, a field and a note; the others have blanks or bytes in another form.
    assert shown.count(r"[info     ] forged\r\x1b[31mred\x9b2J\x85\u2028\u202eevil\x00") >= 4
    assert "?erase=reports&token=***&key=***" in text
    assert "RuntimeError" in text
    assert not UNSAFE.search(shown)


def test_with_unread_output_a_service_answers_and_later_logs_the_number_of_lost_entries(service: Logged) -> None:
    assert service.ask("/api/health") == 200
    # Far beyond what a pipe and the queue hold.
    for _ in range(6):
        assert service.ask("/flood/5000", seconds=60.0) == 200
        assert service.ask("/api/health", seconds=60.0) == 200
    service.read()
    # The number is logged without another entry.
    wait_until(lambda: "log entries were lost" in service.text)
    text = service.end()
    seen = [int(number) for number in re.findall(r"flood (\d+)", text)]
    lost = sum(int(number) for number in re.findall(r"(\d+) log entries were lost", text))
    assert lost > 0
    assert len(seen) + lost >= 30_000
    assert seen[:5000] == list(range(5000))
    assert "[Gateway] Shutting down gracefully..." in text


def test_a_service_with_unread_output_ends(service: Logged) -> None:
    assert service.ask("/flood/5000", seconds=60.0) == 200
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(PATIENCE_SECONDS) == 0


def test_a_service_whose_reader_has_gone_goes_on(service: Logged) -> None:
    service.output.close()
    for _ in range(3):
        assert service.ask("/log?what=x") == 200
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(30) == 0
