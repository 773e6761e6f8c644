"""The private behaviour of Hypercorn that the patch relies on, and containment of a connection's failures."""

import inspect
import socket
from pathlib import Path

import httpx
import hypercorn.trio.run
import pytest
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import EventWrapper, WorkerContext

APP = str(Path(__file__).parents[1] / "served_app.py")

BREAKING = (
    "import runpy, services.http.server.http1 as http1\n"
    "serve = http1.Http1Connection.serve\n"
    "async def broken(self):\n"
    "    if broken.left:\n"
    "        broken.left -= 1\n"
    "        raise {error}\n"
    "    await serve(self)\n"
    "broken.left = 3\n"
    "http1.Http1Connection.serve = broken\n"
)


def test_hypercorn_makes_a_connection_from_what_ours_takes():
    assert list(inspect.signature(TCPServer).parameters) == ["app", "config", "context", "state", "stream"]
    source = inspect.getsource(hypercorn.trio.run.worker_serve)
    assert "TCPServer," in source
    assert "await context.terminated.set()" in source


def test_the_event_that_ends_idle_connections_has_the_members_that_ours_has():
    assert {"clear", "wait", "set", "is_set"} <= set(dir(EventWrapper))
    context = WorkerContext(None)
    context.terminated = EventWrapper()
    assert not context.terminated.is_set()


@pytest.mark.parametrize(
    "error",
    [
        "RuntimeError('x')",
        "ExceptionGroup('x', [ValueError('a'), OSError('b')])",
        "MemoryError()",
        "http1.trio.BusyResourceError('x')",
    ],
)
def test_an_exception_ends_its_own_connection_and_is_logged(start, error):
    service = start("-c", BREAKING.format(error=error) + f"runpy.run_path({APP!r}, run_name='__main__')")
    parsed = httpx.URL(service.url)
    for _ in range(3):
        with socket.create_connection((parsed.host, parsed.port), timeout=10) as connection:
            assert connection.recv(100) == b""
    assert "connections failed and were closed: 1;" in service.wait_line("connections failed")
    assert httpx.get(f"{service.url}/now").status_code == 200
    assert service.stop() == 0
