"""Jobs of one caller: started once, and cancelled when nobody waits for them."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import httpx
import pytest

from cqox.client import analyses
from cqox.client.address import Server
from cqox.client.connection import Connection
from cqox.contract import file_digest
from cqox.errors import DeadlineExceeded, InvalidRequest, NotFound, UnusableData
from tests.client.scripted import URL, Scripted, answer, event, problem, stream

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]
MAPPING = {"y": "y", "treatment": "w"}
GONE = problem(404, "not-found", field="dataset_id")
DESCRIPTION = {
    "notes": ["on the file"],
    "columns": [{"name": "y", "notes": ["on y"]}, {"name": "x", "notes": ["on x"]}],
}


def job(status: str = "running") -> httpx.Response:
    body = {"job_id": "j", "status": status, "dataset_id": "d", "created_at": "t1", "steps": 0, "links": {}}
    return answer(body, 202)


async def test_a_request_has_a_key_of_its_own_in_every_attempt() -> None:
    server = Scripted(httpx.ReadError("x"), job())
    connection = server.connection()
    started = await analyses.submit(connection, "test", MAPPING, {"seed": 7})
    assert started.job_id == "j"
    keys = [request.headers["Idempotency-Key"] for request in server.requests]
    assert keys[0] == keys[1]
    assert all(request.headers["Prefer"] == "respond-async" for request in server.requests)
    await analyses.submit(connection, "test", MAPPING, {"seed": 7})
    assert server.requests[2].headers["Idempotency-Key"] != keys[0]
    await analyses.submit(connection, "test", MAPPING, {}, key="mine")
    assert server.requests[3].headers["Idempotency-Key"] == "mine"


@pytest.mark.parametrize("key", ["5月", "a\nb", " a"])
async def test_a_key_that_no_header_can_hold_is_refused_before_anything_is_sent(key: str) -> None:
    server = Scripted(job())
    with pytest.raises(InvalidRequest, match="'key' holds characters") as caught:
        await analyses.submit(server.connection(), "test", MAPPING, {}, key=key)
    assert caught.value.field == "key"
    assert server.requests == []


async def test_the_first_step_has_the_notes_on_the_file() -> None:
    steps: list[Mapping[str, object]] = []
    await analyses.submit(Scripted(answer(DESCRIPTION), job()).connection(), "test", MAPPING, {}, on_step=steps.append)
    assert steps == [{"step": "file", "notes": ["on the file", "y: on y"]}]


async def test_data_that_were_deleted_a_moment_ago_are_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("y,w\n1,0\n")
    known = answer({"dataset_id": file_digest(path)[0]})
    server = Scripted(known, GONE, known, job())
    await analyses.submit(server.connection(), path, MAPPING, {})
    assert [request.method for request in server.requests] == ["GET", "POST", "POST", "POST"]
    assert server.asked()[2] == "POST /api/datasets"
    for refusal in (Scripted(GONE), Scripted(problem(404, "not-found", field="name"))):
        with pytest.raises(NotFound):
            await analyses.submit(refusal.connection(), "test", MAPPING, {})


async def test_what_json_cannot_hold_is_refused_before_anything_is_sent() -> None:
    server = Scripted(job())
    with pytest.raises(InvalidRequest, match="finite"):
        await analyses.submit(server.connection(), "test", MAPPING, {"minimum_effect": math.nan})
    assert server.requests == []


def hanging(
    at: str, *others: httpx.Response | Callable[[httpx.Request], httpx.Response]
) -> tuple[Connection, Scripted]:
    """Return a connection to a server that never answers the first request of this method and path."""
    server, hung = Scripted(*others), list[str]()

    async def respond(request: httpx.Request) -> httpx.Response:
        if not hung and f"{request.method} {request.url.path}" == at:
            hung.append(at)
            await anyio.sleep(math.inf)
        return await server(request)

    return Connection(Server(url=URL, transport=httpx.MockTransport(respond))), server


async def test_a_caller_that_leaves_while_the_request_is_under_way_cancels_its_job() -> None:
    connection, server = hanging("POST /api/analyze/comprehensive", job(), job("cancelled"))
    with anyio.move_on_after(0.05):
        await analyses.analyze(connection, "test", MAPPING, {})
    assert server.asked() == ["POST /api/analyze/comprehensive", "DELETE /api/jobs/j"]


async def test_a_caller_that_leaves_later_cancels_its_job_too() -> None:
    connection, server = hanging("GET /api/jobs/j/events", job(), job("cancelled"))
    with pytest.raises(DeadlineExceeded):
        await analyses.analyze(connection, "test", MAPPING, {}, timeout=0.05)
    assert server.asked()[-1] == "DELETE /api/jobs/j"


async def test_a_caller_that_only_waits_leaves_the_job_alone() -> None:
    connection, server = hanging("GET /api/jobs/j/events", job())
    started = await analyses.submit(connection, "test", MAPPING, {})
    with pytest.raises(DeadlineExceeded):
        await analyses.finished(connection, started, timeout=0.05)
    assert server.asked() == ["POST /api/analyze/comprehensive"]


async def test_a_server_that_is_away_does_not_hold_a_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyses, "_GOODBYE_SECONDS", 0.05)

    async def hang(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(math.inf)
        raise AssertionError

    connection = Connection(Server(url=URL, transport=httpx.MockTransport(hang)))
    with anyio.fail_after(30), anyio.move_on_after(0.05):
        await analyses.analyze(connection, "test", MAPPING, {})


async def test_a_job_that_failed_is_its_error_and_its_record_stays() -> None:
    failed = event(1, "failed", {"type": "unusable-data", "status": 422, "detail": "constant"})
    server = Scripted(job(), stream(failed))
    with pytest.raises(UnusableData, match="constant"):
        await analyses.analyze(server.connection(), "test", MAPPING, {})
    assert server.asked()[-1] == "GET /api/jobs/j/events"
