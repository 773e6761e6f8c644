"""Both services as real processes on free ports, with a data directory of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.servers.ports import free_port
from tests.waiting import wait_until

__all__ = ["Service", "Stack", "build", "running_stack"]


@dataclass
class Service:
    """A service as a process; its log is a file."""

    name: str
    port: int
    environment: dict[str, str]
    log_path: Path
    around: Sequence[str] = ()
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.around, sys.executable, "-m", f"services.{self.name}"],
                env={**os.environ, **self.environment},
                # A test runner's worker talks to its master by standard input: nobody else may read from it.
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        wait_until(self._is_ready, failure=lambda: f"{self.name} is not ready:\n{self.log}")

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.log}"
        try:
            return httpx.get(f"{self.url}/health/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(45)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


@dataclass
class Stack:
    """Gateway and engine."""

    gateway: Service
    engine: Service

    def client(self, timeout: float = 60.0) -> httpx.Client:
        return httpx.Client(base_url=self.gateway.url, timeout=timeout, trust_env=False)


@contextmanager
def running_stack(folder: Path, **environment: str) -> Iterator[Stack]:
    """Run both services in a folder, ready; end them on leaving."""
    made = build(folder, **environment)
    made.engine.start()
    made.gateway.start()
    try:
        made.engine.wait_ready()
        made.gateway.wait_ready()
        yield made
    finally:
        made.gateway.kill()
        made.engine.kill()


def build(folder: Path, **environment: str) -> Stack:
    engine_port, gateway_port = free_port(), free_port()
    shared = {"CQOX_DATA_DIR": str(folder / "data"), **environment}
    if shared.get("CQOX_AUTH") in ("keys", "oidc"):
        shared.setdefault("CQOX_KEYS", "none")
    engine = Service("engine", engine_port, {**shared, "CQOX_ENGINE_PORT": str(engine_port)}, folder / "engine.log")
    gateway = Service(
        "gateway",
        gateway_port,
        {**shared, "CQOX_GATEWAY_PORT": str(gateway_port), "ENGINE_URL": engine.url},
        folder / "gateway.log",
    )
    return Stack(gateway=gateway, engine=engine)
