"""Both services as processes that speak to a real receiver."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.servers.ports import free_port
from tests.telemetry.receiver import Receiver
from tests.waiting import wait_until

ANALYSIS = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w", "unit_id": "id"}}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A collector."""
    with Receiver() as running:
        yield running


@dataclass
class Services:
    """Gateway and engine as processes, their logs as files."""

    folder: Path
    environment: dict[str, str]
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8")

    def log_lines(self, name: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log(name).splitlines() if line.startswith("{")]

    def start(self, name: str) -> None:
        self.ports.setdefault(name, free_port())
        environment = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
        environment |= {
            "CQOX_DATA_DIR": str(self.folder / "data"),
            f"CQOX_{name.upper()}_PORT": str(self.ports[name]),
            "ENGINE_URL": self.url("engine") if "engine" in self.ports else "",
            **self.environment,
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"services.{name}"],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def wait_ready(self, name: str) -> None:
        wait_until(lambda: self._is_ready(name), failure=lambda: self.log(name))

    def _is_ready(self, name: str) -> bool:
        assert self.processes[name].poll() is None, self.log(name)
        try:
            return httpx.get(f"{self.url(name)}/health/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def start_both(self) -> None:
        for name in ("engine", "gateway"):
            self.start(name)
        for name in ("engine", "gateway"):
            self.wait_ready(name)

    def client(self, name: str = "gateway") -> httpx.Client:
        return httpx.Client(base_url=self.url(name), timeout=60.0, trust_env=False)

    def stop(self, name: str) -> int:
        self.processes[name].send_signal(signal.SIGTERM)
        return self.processes[name].wait(45)

    def kill_all(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait(10)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Both services, not started; `environment` can still be added to."""
    made = Services(tmp_path, {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_BLRP_SCHEDULE_DELAY": "100"})
    try:
        yield made
    finally:
        made.kill_all()
