"""`AsyncJob` without a server behind it."""

import httpx
import pytest

from cqox.client import AsyncClient
from cqox.errors import JobInterrupted
from tests.client.scripted import URL, Scripted, answer, event, stream

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]
DESCRIBED = {"job_id": "j", "status": "running", "dataset_id": "d", "created_at": "t1", "steps": 0, "links": {}}
STREAM = stream(event(1, "step", {"step": "read"}), event(2, "cancelled", {}))


async def test_events_are_numbered_and_a_cancelled_job_has_no_report() -> None:
    server = Scripted(answer(DESCRIBED, 202), STREAM)
    job = await AsyncClient(URL, transport=server.transport).submit("test", y="y", treatment="w", key="k")
    assert [(found.number, found.event) async for found in job.events()] == [(1, "step"), (2, "cancelled")]
    steps: list[object] = []
    with pytest.raises(JobInterrupted, match="'j' was cancelled"):
        await job.wait(progress=steps.append)
    assert steps == [{"step": "read"}]
    assert server.requests[0].headers["Idempotency-Key"] == "k"


async def test_events_may_begin_after_one_that_is_known() -> None:
    server = Scripted(STREAM)
    job = AsyncClient(URL, transport=server.transport).job("j")
    assert [found.number async for found in job.events(after=7)] == [1, 2]
    assert server.requests[0].headers["Last-Event-ID"] == "7"


async def test_a_cancellation_returns_the_state() -> None:
    server = Scripted(httpx.ReadError("x"), answer({**DESCRIBED, "status": "cancelled"}))
    assert (await AsyncClient(URL, transport=server.transport).job("j").cancel()).status == "cancelled"
