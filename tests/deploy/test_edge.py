"""The one address of several gateways: a real HAProxy with the file of the stack."""

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.servers.parent import ending_with_parent
from tests.servers.ports import free_port
from tests.waiting import wait_until

FILE = Path(__file__).parents[2] / "deploy" / "compose" / "haproxy.cfg"


class Gateway:
    """A server that says who it is; its readiness is a status, or no answer before its end."""

    def __init__(self, name: str) -> None:
        self.readiness = 200
        self.silent = False
        self.checks = 0
        over = self._over = threading.Event()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status = 200
                if self.path == "/health/ready":
                    gateway.checks += 1
                    status = gateway.readiness
                    if gateway.silent:
                        over.wait()
                        return
                self.send_response(status)
                self.send_header("Content-Length", str(len(name)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(name.encode())

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()


class Edge:
    """HAProxy with the file of the stack, but for addresses, and for names that only Docker's DNS knows."""

    def __init__(self, folder: Path, gateways: list[Gateway]) -> None:
        program = shutil.which("haproxy")
        assert program, "There is no HAProxy: run tests/servers/haproxy.sh."
        self._port, self._health = free_port(), free_port()
        servers = "\n    ".join(f"server gateway{each.port} 127.0.0.1:{each.port}" for each in gateways)
        text = FILE.read_text(encoding="utf-8")
        for old, new in (
            (r"bind :8082", f"bind 127.0.0.1:{self._port}"),
            (r"127\.0\.0\.1:8405", f"127.0.0.1:{self._health}"),
            (r"server-template gateway \d+ edge-gateway:8082", servers),
            (r" ?resolvers docker resolve-prefer ipv4 init-addr none", ""),
            (r"^ *default-server *$", ""),
        ):
            text, count = re.subn(old, new, text, flags=re.MULTILINE)
            assert count, old
        file = folder / "haproxy.cfg"
        file.write_text(text, encoding="utf-8")
        self._log = folder / "haproxy.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "-db", "-f", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"CQOX_TLS_DIR": ""},
                preexec_fn=ending_with_parent(9),
            )

    def ask(self) -> str | None:
        """Return who answers, or nothing where the connection ends without an answer."""
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}/", trust_env=False, timeout=30).text
        except httpx.TransportError:
            return None

    @property
    def is_healthy(self) -> bool:
        """True if the health check of the container would pass."""
        try:
            return httpx.get(f"http://127.0.0.1:{self._health}/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def wait(self, *, healthy: bool) -> None:
        wait_until(lambda: self.is_healthy is healthy, failure=lambda: self._log.read_text())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def gateways() -> Iterator[list[Gateway]]:
    made = [Gateway("first"), Gateway("second")]
    yield made
    for each in made:
        each.stop()


@pytest.fixture
def edge(tmp_path: Path, gateways: list[Gateway]) -> Iterator[Edge]:
    made = Edge(tmp_path, gateways)
    made.wait(healthy=True)
    wait_until(lambda: {made.ask() for _ in range(4)} == {"first", "second"}, failure=made._log.read_text)
    yield made
    made.stop()


def test_a_gateway_that_is_not_ready_gets_no_connection(edge: Edge, gateways: list[Gateway]) -> None:
    gateways[0].readiness = 503
    wait_until(lambda: {edge.ask() for _ in range(4)} == {"second"}, failure=lambda: "the first one is still asked")
    gateways[0].readiness = 200
    wait_until(
        lambda: {edge.ask() for _ in range(4)} == {"first", "second"}, failure=lambda: "the first one is not back"
    )


def test_a_gateway_that_is_gone_costs_no_request(edge: Edge, gateways: list[Gateway]) -> None:
    gateways[0].stop()
    assert {edge.ask() for _ in range(8)} == {"second"}


def test_gateways_that_are_too_busy_to_say_that_they_are_ready_still_serve(edge: Edge, gateways: list[Gateway]) -> None:
    for each in gateways:
        each.silent = True
    edge.wait(healthy=False)
    assert {edge.ask() for _ in range(8)} == {"first", "second"}
