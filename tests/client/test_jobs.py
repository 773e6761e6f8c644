"""Following a job through everything that may happen to a server meanwhile."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace

import anyio
import httpx
import pytest

from cqox.client.events import JobEvent
from cqox.client.jobs import Started, analysis_of, cancel, events, last_event, status
from cqox.client.requests import json_call
from cqox.errors import (
    DeadlineExceeded,
    JobInterrupted,
    NotFound,
    ServerUnreachable,
    StorageFull,
    TooManyListeners,
    UnusableData,
)
from cqox.resilience import deadline
from tests.client.scripted import Scripted, answer, event, problem, stream

pytestmark = pytest.mark.anyio
REQUEST = json_call("/api/analyze/comprehensive", {"dataset_id": "test"}, {"Idempotency-Key": "k"})
JOB = Started(job_id="j", created_at="t1", request=REQUEST)
READ, FIT = event(1, "step", {"step": "read"}), event(2, "step", {"step": "fit"})
DONE = event(3, "succeeded", {"analysis_id": "a"})
INTERRUPTED = event(3, "interrupted", {})
AWAY = httpx.ConnectError("x")


def described(status: str = "running", created_at: str = "t1") -> httpx.Response:
    return answer(
        {
            "job_id": "j", "status": status, "dataset_id": "test", "created_at": created_at, "steps": 0, "links": {},
        }
    )  # fmt: skip


async def followed(server: Scripted, job: Started = JOB) -> tuple[JobEvent, list[object]]:
    steps: list[object] = []

    def note(step: Mapping[str, object]) -> None:
        steps.append(step["step"])

    return await last_event(server.connection(), job, note), steps


async def test_steps_arrive_and_then_the_end() -> None:
    server = Scripted(stream(READ + FIT, DONE))
    last, steps = await followed(server)
    assert steps == ["read", "fit"]
    assert analysis_of(last, JOB) == "a"
    assert server.asked() == ["GET /api/jobs/j/events"]
    assert server.requests[0].headers["Accept"] == "text/event-stream"


async def test_an_estimate_is_an_event_and_no_step() -> None:
    estimate = event(3, "estimate", {"name": "aipw", "estimate": 2.0, "done": 1, "planned": 9})
    last, steps = await followed(Scripted(stream(READ + FIT + estimate, event(4, "succeeded", {"analysis_id": "a"}))))
    assert (steps, last.event) == (["read", "fit"], "succeeded")
    arriving = events(Scripted(stream(estimate, DONE)).connection(), JOB)
    async with aclosing(arriving):
        assert [(each.event, each.body.get("done")) async for each in arriving] == [
            ("estimate", 1),
            ("succeeded", None),
        ]


@pytest.mark.parametrize("cut", [httpx.ReadError("cut"), httpx.ReadTimeout("silent"), httpx.RemoteProtocolError("cut")])
async def test_a_lost_stream_goes_on_after_the_last_event(cut: Exception) -> None:
    server = Scripted(stream(READ, cut), described(), stream(FIT, DONE))
    last, steps = await followed(server)
    assert (last.event, steps) == ("succeeded", ["read", "reconnecting", "fit"])
    assert server.asked()[1] == "POST /api/analyze/comprehensive"
    assert server.requests[1].headers["Idempotency-Key"] == "k"
    assert server.requests[2].headers["Last-Event-ID"] == "1"


async def test_a_stream_that_ends_without_the_last_event_is_lost() -> None:
    last, steps = await followed(Scripted(stream(READ), described(), stream(FIT, DONE)))
    assert (last.event, steps) == ("succeeded", ["read", "reconnecting", "fit"])


async def test_half_an_event_is_not_taken_for_a_whole_one() -> None:
    server = Scripted(stream(READ, FIT[:-5], httpx.ReadError("cut")), described(), stream(FIT, DONE))
    assert (await followed(server))[1] == ["read", "reconnecting", "fit"]


async def test_a_server_may_be_away_for_a_while() -> None:
    back_at = anyio.current_time() + 60

    def respond(request: httpx.Request) -> httpx.Response:
        if anyio.current_time() < back_at:
            raise AWAY
        return described() if request.method == "POST" else stream(FIT, DONE)(request)

    last, steps = await followed(Scripted(stream(READ, httpx.ReadError("x")), problem(503, "draining"), respond))
    assert last.event == "succeeded"
    assert (steps[0], steps[-1]) == ("read", "fit")
    assert steps.count("reconnecting") >= 5


async def test_the_wait_ends_when_the_server_stays_away() -> None:
    began = anyio.current_time()
    with pytest.raises(Exception) as caught:
        await followed(Scripted(stream(READ, httpx.ReadError("x")), AWAY))
    assert isinstance(caught.value, ServerUnreachable) or "Circuit breaker" in str(caught.value)
    assert 120 <= anyio.current_time() - began < 150
    assert any("client.job('j').wait()" in note for note in caught.value.__notes__)


async def test_an_interrupted_job_is_started_again_with_its_key() -> None:
    server = Scripted(stream(READ, INTERRUPTED), described(created_at="t2"), stream(READ, DONE))
    last, steps = await followed(server)
    assert (last.event, steps) == ("succeeded", ["read", "reconnecting", "read"])
    assert server.requests[1].headers["Idempotency-Key"] == "k"
    assert "Last-Event-ID" not in server.requests[2].headers


async def test_a_job_that_was_started_again_meanwhile_begins_with_its_first_event() -> None:
    server = Scripted(stream(READ, FIT, httpx.ReadError("x")), described(created_at="t2"), stream(READ, DONE))
    assert (await followed(server))[1] == ["read", "fit", "reconnecting", "read"]


async def test_a_job_that_is_always_interrupted_ends_as_that() -> None:
    steps = [step for run in range(5) for step in (stream(INTERRUPTED), described(created_at=f"t{run + 2}"))]
    last, _ = await followed(Scripted(*steps))
    with pytest.raises(JobInterrupted, match="its engine ended"):
        analysis_of(last, JOB)


async def test_a_job_without_its_request_is_not_started_again() -> None:
    job = replace(JOB, request=None, created_at="")
    last, _ = await followed(Scripted(stream(INTERRUPTED)), job)
    assert last.event == "interrupted"
    server = Scripted(stream(READ, httpx.ReadError("x")), described(), stream(DONE))
    assert (await followed(server, job))[0].event == "succeeded"
    assert server.asked()[1] == "GET /api/jobs/j"
    # Its first event is asked for again: it was unknown when this run began.
    assert "Last-Event-ID" not in server.requests[2].headers


async def test_too_many_listeners_are_waited_for() -> None:
    server = Scripted(problem(429, "too-many-listeners", headers={"Retry-After": "15"}), described(), stream(DONE))
    began = anyio.current_time()
    assert (await followed(server))[0].event == "succeeded"
    assert anyio.current_time() - began >= 15
    assert isinstance(TooManyListeners("x", most=1), Exception)


@pytest.mark.parametrize(
    ("refusal", "form"), [(problem(404, "not-found"), NotFound), (problem(507, "insufficient-storage"), StorageFull)]
)
async def test_what_no_wait_cures_ends_it(refusal: httpx.Response, form: type[Exception]) -> None:
    with pytest.raises(form):
        await followed(Scripted(refusal))
    with pytest.raises(form):
        await followed(Scripted(stream(READ), refusal))


async def test_a_deadline_ends_the_wait() -> None:
    with pytest.raises(DeadlineExceeded), deadline(30.0):
        await followed(Scripted(stream(READ, httpx.ReadError("x")), AWAY))


async def test_a_listener_that_leaves_early_closes_the_stream() -> None:
    async with aclosing(events(Scripted(stream(READ, FIT, DONE)).connection(), JOB, after=0)) as arriving:
        async for found in arriving:
            assert found.number == 1
            break


async def test_the_end_of_a_job_is_its_report_or_its_error() -> None:
    failed = {"type": "unusable-data", "status": 422, "detail": "The treatment is constant."}
    with pytest.raises(UnusableData, match="constant"):
        analysis_of(JobEvent(number=1, event="failed", body=failed), JOB)
    with pytest.raises(JobInterrupted, match="'j' was cancelled"):
        analysis_of(JobEvent(number=1, event="cancelled", body={}), JOB)
    for odd in (JobEvent(number=1, event="failed", body={}), JobEvent(number=1, event="succeeded", body={})):
        with pytest.raises(JobInterrupted):
            analysis_of(odd, JOB)


async def test_state_and_cancellation_are_requests() -> None:
    server = Scripted(described(), described("cancelled"))
    connection = server.connection()
    assert (await status(connection, "j")).status == "running"
    assert (await cancel(connection, "j")).status == "cancelled"
    assert server.asked() == ["GET /api/jobs/j", "DELETE /api/jobs/j"]
