"""Clients that stand still keep nobody else out of a route."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.e2e.stack import Stack, build

ANALYZE = "/api/analyze/comprehensive"
TABLE = b"id,y\n" + b"".join(b"%d,%d\n" % (row, row * 2) for row in range(100))
LONG = json.loads((Path(__file__).parents[2] / "examples" / "long_request.json").read_text())


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = build(tmp_path_factory.mktemp("idle"))
    made.engine.start()
    made.gateway.start()
    try:
        made.engine.wait_ready()
        made.gateway.wait_ready()
        yield made
    finally:
        made.gateway.kill()
        made.engine.kill()


def begin(port: int, request: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(request)
    return connection


def upload(url: str) -> httpx.Response:
    return httpx.post(f"{url}/api/datasets?name=a.csv", content=TABLE, timeout=30, trust_env=False)


@pytest.mark.parametrize("at", ["gateway", "engine"])
@pytest.mark.parametrize(("count", "sent"), [(26, 7), (300, 7), (26, 100_000)])
def test_uploads_that_stand_still_keep_no_other_out(stack: Stack, at: str, count: int, sent: int) -> None:
    service = stack.gateway if at == "gateway" else stack.engine
    head = b"POST /api/datasets?name=s.csv HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n"
    with ExitStack() as held:
        for _ in range(count):
            held.enter_context(begin(service.port, head + b"x" * sent))
        # Those that began to flow have a place until they have stood still for a moment.
        time.sleep(4 if sent > 7 else 0.5)
        for _ in range(3):
            assert upload(service.url).status_code == 201


def test_a_stalled_upload_is_ended_with_the_reason(stack: Stack) -> None:
    head = b"POST /api/datasets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n1234567"
    with begin(stack.gateway.port, head) as connection:
        answer = b""
        while more := connection.recv(65536):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in head.lower()
    assert "7 bytes in 15 s, where at least 15,360 are required" in json.loads(body)["detail"]


def events_of(port: int, job: str) -> socket.socket:
    head = f"GET /api/jobs/{job}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
    return begin(port, head.encode())


def status_of(connection: socket.socket) -> bytes:
    return connection.recv(65536)[9:12]


def test_listeners_of_one_job_keep_no_other_job_from_being_heard(stack: Stack) -> None:
    with stack.client() as client, ExitStack() as held:
        asked = [LONG | {"options": LONG["options"] | {"seed": seed}} for seed in (1, 2)]
        jobs = [client.post(ANALYZE, json=one, headers={"Prefer": "respond-async"}).json() for one in asked]
        crowded, other = (job["job_id"] for job in jobs)
        for _ in range(64):
            assert status_of(held.enter_context(events_of(stack.gateway.port, crowded))) == b"200"
        refused = client.get(f"/api/jobs/{crowded}/events")
        assert (refused.status_code, refused.json()["type"]) == (429, "too-many-listeners")
        assert "The limit of 64 listeners is reached" in refused.json()["detail"]
        assert refused.headers["Retry-After"] == "15"
        # It is no failure of the engine, and not retried.
        assert "[Retry]" not in stack.gateway.log
        for _ in range(64):
            assert status_of(held.enter_context(events_of(stack.gateway.port, other))) == b"200"
        small = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}, "options": {"seed": 9}}
        with client.stream("POST", ANALYZE, json=small, headers={"Accept": "text/event-stream"}) as stream:
            assert stream.status_code == 200
        held.pop_all().close()
        for _ in range(50):
            with events_of(stack.gateway.port, crowded) as again:
                if status_of(again) == b"200":
                    break
            time.sleep(0.1)
        else:
            raise AssertionError("listeners that left are still counted")
        for job in (crowded, other):
            client.delete(f"/api/jobs/{job}")
