"""Handlers of jobs: status, events, cancellation and deletion."""

import json
from contextlib import suppress
from typing import cast

import trio
from quart import Response

from cqox.analysis.jobs import Ending, Job, Jobs
from cqox.analysis.key import canonical_json
from cqox.analysis.tenant import TenantAnalyses
from cqox.contract import shortened
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, RunsElsewhere, StoreUnavailable
from cqox.storage import JobRecord, JobStatus
from services.engine.answers import json_answer
from services.engine.events import event_stream, last_seen
from services.engine.pages import page_before, page_limit, query_of
from services.engine.state import State
from services.engine.tenancy import mine, my_jobs, tenant_of
from services.http.contract.api import JOB_STATUSES
from services.http.contract.registration import Handler
from services.http.request.propagation import SECOND_HAND
from services.http.request.request import current_request
from services.http.response.problems import describe

__all__ = ["described", "handlers", "record_of", "recorded", "remembered"]

# Longer than a busy store takes: without its answer a job that was deleted through another engine is shown once more.
_ASKING_SECONDS = 2.0


def handlers(state: State) -> dict[str, Handler]:
    """Return the handlers of the operations on jobs, by name."""

    async def list_jobs() -> Response:
        query = query_of("list_jobs")
        page = await mine(state).jobs(
            dataset_id=query.get("dataset_id"),
            status=_status(query.get("status")),
            limit=page_limit(query.get("limit", "50")),
            before=page_before(query.get("before")),
        )
        return json_answer({"jobs": [_summary(record) for record in page.items], "next": page.next})

    async def read_job(job_id: str) -> Response:
        job = await remembered(mine(state), my_jobs(state), job_id)
        if job is None:
            return _second_hand(json_answer(recorded(await mine(state).job(job_id))))
        return json_answer(described(job, stored=not mine(state).records.is_waiting(job_id)))

    async def cancel_job(job_id: str) -> Response:
        query_of("cancel_job")
        job = await remembered(mine(state), my_jobs(state), job_id)
        if job is None:
            record = await _ended(state, job_id)
            await mine(state).store.delete_job(job_id)
            return _second_hand(json_answer(recorded(record)))
        if job.done:
            if mine(state).records.is_waiting(job_id):
                raise StoreUnavailable(Message("problems.job-end-not-recorded-to-delete"))
            if job.recorded:
                await mine(state).store.delete_job(job_id)
            my_jobs(state).forget(job_id)
            return json_answer(described(job))
        job.cancel()
        async for _ in job.listen(len(job.messages)):
            pass
        if job.state == "cancelled" and mine(state).records.is_waiting(job_id):
            raise StoreUnavailable(Message("problems.job-end-not-recorded"))
        return json_answer(described(job))

    async def job_events(job_id: str) -> Response:
        request = current_request()
        after = last_seen(request.headers.get("Last-Event-ID"))
        job = await remembered(mine(state), my_jobs(state), job_id)
        if job is not None:
            return event_stream(
                job, request, after=after, listener=state.listeners.join(job_id, tenant_of(request.scope))
            )
        past = _past(await _ended(state, job_id))
        # Only the end of the job is stored. Its event number differs from that of the engine that ran it, so send it
        # for any `Last-Event-ID`.
        return _second_hand(
            event_stream(
                past,
                request,
            )
        )

    return {"list_jobs": list_jobs, "read_job": read_job, "cancel_job": cancel_job, "job_events": job_events}


async def remembered(analyses: TenantAnalyses, jobs: Jobs, job_id: str) -> Job | None:
    """Return a tenant's job in this engine's memory; None without one, or if it was deleted through another engine."""
    job = jobs.find(job_id)
    # The store knows neither a job that is not recorded, nor an end that waits to be recorded.
    if job is None or not job.done or not job.recorded or analyses.records.is_waiting(job_id):
        return job
    asked = False
    record: JobRecord | None = None
    # A stalled store must not delay a response from memory.
    with suppress(StoreUnavailable), trio.move_on_after(_ASKING_SECONDS):
        record = await analyses.store.job(job_id)
        asked = True
    if not asked:
        return job
    # A newer record is another job with the same idempotency key on another engine.
    if record is None or record.created_at > job.created_at:
        jobs.forget(job_id)
        return None
    return job


def record_of(job: Job, ending: Ending | None = None) -> JobRecord:
    """Return the record of a job for the store, which outlives this engine.

    Args:
        job: the job.
        ending: how it ended; None while it is running.
    """
    failure = None if ending is None else ending.failure
    outcome = None if ending is None else ending.outcome
    return JobRecord(
        job_id=job.job_id,
        dataset_id=job.dataset_id,
        status="running" if ending is None else ending.state,
        created_at=job.created_at,
        finished_at=None if ending is None else ending.finished_at,
        analysis_id=None if outcome is None else outcome.analysis_id,
        problem=None if failure is None else canonical_json(_problem(job, failure)),
    )


def recorded(record: JobRecord) -> dict[str, object]:
    """Return a stored job as `cqox.contract.JobDescription`; steps are not stored."""
    return {
        "job_id": record.job_id,
        "status": record.status,
        "dataset_id": record.dataset_id,
        "created_at": record.created_at,
        "finished_at": record.finished_at,
        "steps": 0,
        "last_step": None,
        "done": 0,
        "planned": None,
        "analysis_id": record.analysis_id,
        "links": _links(record.job_id, record.analysis_id),
        "problem": None if record.problem is None else json.loads(record.problem),
        "stored": True,
    }


async def _ended(state: State, job_id: str) -> JobRecord:
    record = await mine(state).job(job_id)
    if record.status == "running":
        raise RunsElsewhere(Message("request.job-runs-elsewhere", job_id=job_id[:100]))
    return record


def _status(given: str | None) -> JobStatus | None:
    if given is not None and given not in JOB_STATUSES:
        raise InvalidRequest(
            Message("request.no-such-job-state", given=shortened(given)),
            field="status",
            choices=list(JOB_STATUSES),
        )
    return cast("JobStatus | None", given)


def _summary(record: JobRecord) -> dict[str, object]:
    left_out = ("steps", "last_step", "done", "planned", "problem", "stored")
    return {name: value for name, value in recorded(record).items() if name not in left_out}


def _second_hand(answer: Response) -> Response:
    answer.headers[SECOND_HAND] = "job record"
    return answer


def _past(record: JobRecord) -> Job:
    body: dict[str, object] = {} if record.problem is None else json.loads(record.problem)
    if record.analysis_id is not None:
        body = {"analysis_id": record.analysis_id, "report": f"/api/analyses/{record.analysis_id}"}
    assert record.status != "running"
    return Job.ended(record.job_id, record.dataset_id, record.status, body)


def _links(job_id: str, analysis_id: str | None) -> dict[str, str]:
    path = f"/api/jobs/{job_id}"
    links = {"self": path, "events": f"{path}/events"}
    return links if analysis_id is None else links | {"report": f"/api/analyses/{analysis_id}"}


def described(job: Job, *, stored: bool = True) -> dict[str, object]:
    """Return a job in memory as `cqox.contract.JobDescription`.

    Args:
        job: the job.
        stored: whether the store knows its state.
    """
    steps = [message for message in job.messages if message.event == "step"]
    analysis_id = None if job.outcome is None else job.outcome.analysis_id
    links = _links(job.job_id, analysis_id)
    return {
        "job_id": job.job_id,
        "status": job.state,
        "dataset_id": job.dataset_id,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "steps": len(steps),
        "last_step": str(steps[-1].body.get("step")) if steps else None,
        "done": 0 if job.progress is None else job.progress["done"],
        "planned": None if job.progress is None else job.progress["planned"],
        "analysis_id": analysis_id,
        "links": links,
        "problem": None if job.failure is None else _problem(job, job.failure),
        "stored": stored,
    }


def _problem(job: Job, failure: Exception) -> dict[str, object]:
    return describe(failure, instance=f"/api/jobs/{job.job_id}", request_id=job.job_id)
