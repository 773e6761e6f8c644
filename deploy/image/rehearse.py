"""Use a service as clients do, so that what it imports is kept compiled: `rehearse.py gateway|engine`.

For the interpreter of a new image, whose file system is read only later on: a module that is not compiled by then is
compiled at each start of a process. A service that does not start, or answers wrongly, ends this with an error.
"""

import http.client
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

START_SECONDS = 600.0
ANSWER_SECONDS = 600.0
OK, CREATED = 200, 201
# No place, or no time: on a machine that is busy a figure takes longer than a client waits for it.
LATER = (503, 504)
_OTHERS = ("CQOX_", "OTEL_", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
EXPORTS = ("pdf", "docx", "pptx", "html")
PACKAGES = ("cqox", "services")
TABLE = "id,w,y,x\n" + "".join(f"{row},{row % 2},{row % 7 + 2 * (row % 2)},{row % 5}\n" for row in range(200))


class Service:
    """A running service, and what it answers.

    Args:
        name: `gateway` or `engine`.
        folder: for its files.
    """

    def __init__(self, name: str, folder: str) -> None:
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            self._port = chosen.getsockname()[1]
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(_OTHERS)}
        self.environment |= {
            "CQOX_HOST": "127.0.0.1",
            "CQOX_DATA_DIR": folder,
            "CQOX_ADMIN_SOCKET": f"{folder}/admin.sock",
            "ENGINE_URL": "http://127.0.0.1:9",
            # Nobody is there: what exports is imported all the same.
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces",
        }
        command = [sys.executable, "-m", f"services.{name}", f"--{name}-port", str(self._port)]
        self._process = subprocess.Popen(command, cwd=folder, env=self.environment)
        until = time.monotonic() + START_SECONDS
        while self.ask("GET", "/health/ready")[0] != OK:
            if self._process.poll() is not None or time.monotonic() > until:
                self._process.kill()
                raise SystemExit(f"rehearse.py: the {name} does not start")
            time.sleep(0.2)

    def ask(self, method: str, path: str, body: str | None = None, kind: str = "application/json") -> tuple[int, bytes]:
        """Return the status of an answer, or 0 without one, and its body."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def expect(
        self, status: int, method: str, path: str, body: str | None = None, kind: str = "application/json"
    ) -> bytes:
        """Return the body of an answer, which has this status, if need be after some time."""
        until = time.monotonic() + ANSWER_SECONDS
        while True:
            got, answer = self.ask(method, path, body, kind)
            if got == status:
                return answer
            if got not in LATER or time.monotonic() > until:
                raise SystemExit(f"rehearse.py: {method} {path} is answered {got}: {answer[:500]!r}")
            time.sleep(1)

    def command(self, *arguments: str) -> None:
        """Run the command `cqox`."""
        program = Path(sys.executable).with_name("cqox")
        subprocess.run([program, *arguments], check=True, env=self.environment, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        """End it as Docker does."""
        self._process.send_signal(signal.SIGTERM)
        if self._process.wait(ANSWER_SECONDS):
            raise SystemExit("rehearse.py: the service does not end well")


def analyze(service: Service, dataset: str, mapping: dict[str, object]) -> dict[str, object]:
    """Have the service analyse a data set."""
    body = json.dumps({"dataset_id": dataset, "mapping": {"y": "y", "treatment": "w", "unit_id": "id"} | mapping})
    return json.loads(service.expect(OK, "POST", "/api/analyze/comprehensive", body))


def use(name: str, service: Service) -> None:
    """Ask for what every client asks for."""
    for path in ("/docs", "/metrics"):
        service.expect(OK, "GET", path)
    service.command("--help")
    service.command("admin", "policies")
    if name == "gateway":
        service.expect(OK, "GET", "/")
        return
    sent = json.loads(service.expect(CREATED, "POST", "/api/datasets?name=a.csv", TABLE, "text/csv"))
    analyze(service, sent["dataset_id"], {"covariates": ["x"]})
    report = analyze(service, "test", {"covariates": ["x1", "x2", "x3", "x4"]})
    for figure in report["figures"].values():
        service.expect(OK, "GET", figure)
    for suffix in EXPORTS:
        service.expect(OK, "GET", f"/api/analyses/{report['analysis_id']}/export.{suffix}")


def import_all(package: str) -> None:
    """Import every module of a package, with what each imports: the drivers of stores that nobody asked here."""
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.", lambda name: None):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as missing:
            # What an extra brings that no image has, such as `mcp`.
            if str(missing.name).partition(".")[0] in PACKAGES:
                raise


def rehearse(name: str) -> None:
    """Start a service, use it and end it."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(name, folder)
        use(name, service)
        service.stop()
    if name == "engine":
        for package in PACKAGES:
            import_all(package)


if __name__ == "__main__":
    rehearse(sys.argv[1])
