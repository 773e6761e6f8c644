"""Handlers of jobs: where one stands, its events, its end."""

from quart import Response

from cqox.analysis.jobs import Job
from services.engine.answers import json_answer
from services.engine.events import event_stream, last_seen
from services.engine.state import State
from services.http.api import Handler
from services.http.incoming import current_request
from services.http.problems import describe

__all__ = ["described", "handlers"]


def handlers(state: State) -> dict[str, Handler]:
    """The operations on jobs, by name."""

    async def read_job(job_id: str) -> Response:
        return json_answer(described(state.jobs.get(job_id)))

    async def cancel_job(job_id: str) -> Response:
        job = state.jobs.get(job_id)
        job.cancel()
        async for _ in job.listen(len(job.messages)):
            pass
        return json_answer(described(job))

    async def job_events(job_id: str) -> Response:
        request = current_request()
        job = state.jobs.get(job_id)
        after = last_seen(request.headers.get("Last-Event-ID"))
        return event_stream(job, after=after, request_id=request.request_id)

    return {"read_job": read_job, "cancel_job": cancel_job, "job_events": job_events}


def described(job: Job) -> dict[str, object]:
    """The job as `cqox.contract.JobDescription`."""
    steps = [message for message in job.messages if message.event == "step"]
    path = f"/api/jobs/{job.job_id}"
    links = {"self": path, "events": f"{path}/events"}
    if job.outcome is not None:
        links["report"] = f"/api/analyses/{job.outcome.analysis_id}"
    return {
        "job_id": job.job_id,
        "status": job.state,
        "dataset_id": job.dataset_id,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "steps": len(steps),
        "last_step": str(steps[-1].body.get("step")) if steps else None,
        "analysis_id": None if job.outcome is None else job.outcome.analysis_id,
        "links": links,
        "problem": None if job.failure is None else describe(job.failure, instance=path, request_id=job.job_id),
    }
