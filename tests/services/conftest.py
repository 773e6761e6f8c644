"""Fixtures of real service processes on loopback."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.waiting import PATIENCE_SECONDS, wait_until


class Service:
    """A child process and its output."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self._more = threading.Condition()
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()
        self.process.stdout.close()

    def wait_line(self, part: str) -> str:
        """Wait for the first line that contains `part` and return it."""
        end = time.monotonic() + PATIENCE_SECONDS
        with self._more:
            while True:
                for line in self.lines:
                    if part in line:
                        return line
                if self.process.poll() is not None or not self._more.wait(end - time.monotonic()):
                    raise AssertionError(f"no line with {part!r} in:\n" + "\n".join(self.lines))

    @property
    def url(self) -> str:
        """URL that the service listens on."""
        return self.wait_line("Listening on http").partition("Listening on ")[2].split()[0].split('"')[0].rstrip(",")

    @contextmanager
    def ready_client(self) -> Iterator[httpx.Client]:
        """Yield an HTTP client of the service once it is ready."""
        with httpx.Client(base_url=self.url, trust_env=False, timeout=60) as client:
            wait_until(lambda: client.get("/health/ready").status_code == 200)
            yield client

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait until the process exits; return its status."""
        status = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return status

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait until the process exits; return its status."""
        self.send_signal(number)
        return self.end()

    def has_in_order(self, *parts: str) -> bool:
        """Return whether lines with these parts were printed in this order."""
        rest = iter(self.lines)
        return all(any(part in line for line in rest) for part in parts)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start programs of this Python with environment variables; all are stopped at the end of the test.

    `around` is a command before which the program goes.
    """
    running: list[Service] = []

    def run(*arguments: str, around: Sequence[str] = (), **variables: str) -> Service:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CQOX_")}
        environment = {
            **inherited,
            "CQOX_DATA_DIR": str(tmp_path / "data"),
            "CQOX_GATEWAY_PORT": "0",
            "CQOX_ENGINE_PORT": "0",
            # What raw requests of tests call every service.
            "CQOX_ALLOWED_HOSTS": "x",
            **variables,
        }
        service = Service([*around, sys.executable, *arguments], environment)
        running.append(service)
        return service

    yield run
    for service in running:
        if service.process.poll() is None:
            service.process.kill()
        service.end()
