"""Both services as real processes on free ports, with a data directory of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.waiting import wait_until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def build(folder: Path, **environment: str) -> Stack:
    engine_port, gateway_port = free_port(), free_port()
    shared = {"CQOX_DATA_DIR": str(folder / "data"), **environment}
    engine = Service("engine", engine_port, {**shared, "CQOX_ENGINE_PORT": str(engine_port)}, folder / "engine.log")
    gateway = Service(
        "gateway",
        gateway_port,
        {**shared, "CQOX_GATEWAY_PORT": str(gateway_port), "ENGINE_URL": engine.url},
        folder / "gateway.log",
    )
    return Stack(gateway=gateway, engine=engine)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Both services, shared by the tests of a process; who stops or kills one takes `own_stack`."""
    made = build(tmp_path_factory.mktemp("stack"))
    made.engine.start()
    made.gateway.start()
    try:
        made.engine.wait_ready()
        made.gateway.wait_ready()
        yield made
    finally:
        made.gateway.stop()
        made.engine.stop()


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """Both services for one test, not started."""
    made = build(tmp_path)
    try:
        yield made
    finally:
        for service in (made.gateway, made.engine):
            if hasattr(service, "process"):
                service.kill()


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    """A client of the shared gateway."""
    with stack.client() as client:
        yield client


def reference_dir() -> Path:
    """Return the folder of the reference data."""
    default = Path(__file__).parents[3] / "shared" / "reference"
    return Path(os.environ.get("CQOX_REFERENCE_DIR", default))


def reference_cases() -> list[dict[str, object]]:
    """The reference cases; none where the data are not there."""
    path = reference_dir() / "reference.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
