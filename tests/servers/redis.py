"""A Redis server: `redis-server` or `valkey-server` on PATH, or the one that `redis.sh` built into the environment."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.servers.parent import ending_with_parent
from tests.servers.ports import free_port
from tests.waiting import PATIENCE_SECONDS, wait_until

__all__ = ["Redis"]


class Redis:
    """One server that keeps nothing on disk."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cqox-redis-"))
        self._program = _found()
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, **settings: str) -> None:
        """Start it, empty, and wait until it answers."""
        flags = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": str(self._folder)}
        given = {name.replace("_", "-"): value for name, value in settings.items()}
        command = [part for name, value in (flags | given).items() for part in (f"--{name}", value)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *command],
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=ending_with_parent(signal.SIGKILL),
            )
        wait_until(self._answers, failure=(self._folder / "log").read_text)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            with self.client() as client:
                return client.ping()
        except redis.RedisError:
            return False

    def stop(self, number: int = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(PATIENCE_SECONDS)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It stands still meanwhile."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5, socket_connect_timeout=5)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _found() -> str:
    built = str(Path(sys.prefix) / "bin")
    for name in ("redis-server", "valkey-server"):
        for program in (shutil.which(name), shutil.which(name, path=built)):
            if program and has_tls(program):
                return program
    raise AssertionError("There is no Redis with TLS: `make test` gets one, and so does tests/servers/redis.sh.")


def has_tls(program: str) -> bool:
    """Return whether a program is linked with OpenSSL, as a Redis with TLS is."""
    return "libssl" in subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
