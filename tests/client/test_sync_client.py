"""`cqox.Client` without a server behind it: threads, loops, forks and interrupts."""

import asyncio
import math
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import anyio
import httpx
import pytest

from cqox.client import Client
from cqox.errors import DeadlineExceeded, InvalidRequest
from cqox.resilience import deadline
from tests.client.scripted import URL, Scripted, answer

HEALTH = {"status": "ok", "service": "gateway", "version": "1", "degraded": {}, "in_flight": 0, "uptime_seconds": 1.0}
SUMMARY = {"dataset_id": "d", "created_at": "", "status": "ok"}


async def hang(request: httpx.Request) -> httpx.Response:
    await anyio.sleep(math.inf)
    raise AssertionError


def test_a_call_works_inside_a_running_loop_and_after_the_end() -> None:
    with Client(URL, transport=Scripted(answer(HEALTH)).transport) as client:

        async def main() -> str:
            return client.health().status

        assert asyncio.run(main()) == "ok"
    assert client.health().status == "ok"
    client.close()
    assert repr(client) == f"Client('{URL}')"


def test_threads_share_a_client() -> None:
    client = Client(URL, transport=Scripted(answer(HEALTH)).transport)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(client.health().status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["ok"] * 8
    client.close()


@pytest.mark.parametrize(("name", "value"), [("language", "xx"), ("progress", "foo")])
def test_a_keyword_with_another_value_is_refused_before_anything_is_sent(name: str, value: str) -> None:
    server = Scripted(answer(HEALTH))
    keywords: dict[str, Any] = {name: value}
    with Client(URL, transport=server.transport) as client:
        for call in (client.analyze, client.submit):
            with pytest.raises(InvalidRequest) as caught:
                call("0" * 32, y="y", treatment="w", **keywords)
            assert caught.value.field == name
    assert server.requests == []


def test_an_interrupt_ends_a_call_at_once() -> None:
    client = Client(URL, transport=httpx.MockTransport(hang))
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        client.health()
    timer.join()
    client.close()


def test_a_deadline_of_the_caller_is_that_of_the_request() -> None:
    server = Scripted(answer(HEALTH))
    client = Client(URL, transport=server.transport)
    with deadline(5.0):
        client.health()
    assert 4000 < int(server.requests[0].headers["X-Request-Timeout-Ms"]) <= 5000
    client.close()
    waiting = Client(URL, transport=httpx.MockTransport(hang))
    with pytest.raises(DeadlineExceeded), deadline(0.2):
        waiting.health()
    waiting.close()


def test_a_fork_has_connections_of_its_own() -> None:
    server = Scripted(answer(HEALTH))
    client = Client(URL, transport=server.transport)
    client.health()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if client.health().status == "ok" else 2
        finally:
            os._exit(status)
    end = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < end:
        time.sleep(0.01)
    assert ended == (child, 0)
    assert client.health().status == "ok"
    client.close()


def test_pages_of_reports_are_read_as_they_are_asked_for() -> None:
    server = Scripted(
        answer({"analyses": [{**SUMMARY, "analysis_id": "1"}], "next": "t|1"}),
        answer({"analyses": [{**SUMMARY, "analysis_id": "2"}], "next": None}),
    )
    client = Client(URL, transport=server.transport)
    found = client.reports(dataset_id="d")
    assert next(found).analysis_id == "1"
    assert len(server.requests) == 1
    assert [each.analysis_id for each in found] == ["2"]
    client.close()


WITHOUT_ENGINE = """
import sys
for name in ("numpy", "scipy", "altair", "vl_convert", "pandas", "pyarrow", "fastexcel", "sklearn", "quart"):
    sys.modules[name] = None
import cqox
client = cqox.Client("http://127.0.0.1:1")
cqox.AsyncClient("http://127.0.0.1:1")
import polars as pl
try:
    client.upload(pl.DataFrame({"y": [1, 2], "w": ["a", "b"]}))
except cqox.errors.ServerUnreachable as error:
    print("unreachable", not [name for name in sys.modules if name.startswith(("cqox.analysis", "cqox.storage"))])
"""


def test_a_client_needs_nothing_of_an_engine() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_ENGINE], capture_output=True, text=True, timeout=90)
    assert done.stdout == "unreachable True\n", done.stderr


WITHOUT_CLIENT = """
import sys
sys.modules["httpx"] = None
import cqox
try:
    cqox.Client
except ModuleNotFoundError as error:
    print(error)
"""


def test_a_package_that_is_missing_is_named_with_the_extra() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_CLIENT], capture_output=True, text=True, timeout=90)
    assert "cqox.Client needs httpx" in done.stdout, done.stderr
    assert "pip install 'cqox[client]'" in done.stdout
