"""Jobs of an engine: their records, their descriptions and their handlers."""

import json
import math
from dataclasses import replace

import pytest
import trio

from cqox.analysis.jobs import Ending, Job, Outcome
from cqox.contract import JobDescription, JobListing
from cqox.errors import InvalidRequest, StoreUnavailable
from cqox.storage import Page
from services.engine.jobs import described, handlers, record_of, recorded, remembered
from tests.services.engine.handled import Records, Store, app_of, state_of
from tests.storage.records import a_job, an_ended_job

ENDED = "2026-01-02T00:00:00.000000+00:00"
SUCCEEDED = Ending(state="succeeded", finished_at=ENDED, outcome=Outcome(analysis_id="a"))


def a_finished(job_id: str = "j", *, is_recorded: bool = True) -> Job:
    job = Job.ended(job_id, "d", "succeeded", {"analysis_id": "a"})
    job.recorded = is_recorded
    return job


async def asked(method: str, path: str, state):
    async def known(job_id: str):
        return await state.analyses.store.job(job_id)

    state.analyses.job = known
    answer = await app_of(handlers(state)).test_client().open(path, method=method)
    return answer, json.loads(await answer.get_data())


@pytest.mark.trio
async def test_the_record_of_a_job_has_its_state_and_end() -> None:
    job = Job("d", "j")
    running = record_of(job)
    assert (running.job_id, running.dataset_id, running.status) == ("j", "d", "running")
    assert (running.finished_at, running.analysis_id, running.problem) == (None, None, None)
    assert running.created_at == job.created_at
    succeeded = record_of(job, SUCCEEDED)
    assert succeeded == replace(running, status="succeeded", finished_at=ENDED, analysis_id="a")
    failed = record_of(job, Ending(state="failed", finished_at=ENDED, failure=InvalidRequest("No such column.")))
    assert failed.analysis_id is None
    problem = json.loads(failed.problem or b"")
    assert (problem["detail"], problem["instance"]) == ("No such column.", "/api/jobs/j")


@pytest.mark.parametrize("record", [a_job("j"), replace(an_ended_job("j", ENDED), analysis_id="a", problem=b'{"a":1}')])
def test_a_stored_job_is_described_by_the_contract(record) -> None:
    found = recorded(record)
    assert JobDescription.model_validate(found).model_dump(mode="json").keys() == found.keys()
    assert (found["status"], found["steps"], found["last_step"]) == (record.status, 0, None)
    assert ("report" in found["links"]) == (record.analysis_id is not None)
    assert found["problem"] == (None if record.problem is None else {"a": 1})


@pytest.mark.trio
async def test_a_job_in_memory_is_described_with_its_steps() -> None:
    job = Job("d", "j")
    assert (described(job)["steps"], described(job)["last_step"]) == (0, None)
    job.add_step({"step": "read"})
    job.add_step({"step": "plan"})
    found = described(job)
    assert (found["status"], found["steps"], found["last_step"]) == ("running", 2, "plan")
    assert found.keys() == recorded(a_job("j")).keys()
    assert (found["done"], found["planned"]) == (0, None)
    job.add_step({"step": "estimate.aipw", "result": {"name": "aipw", "done": 3, "planned": 9}})
    found = described(job)
    assert (found["steps"], found["last_step"], found["done"], found["planned"]) == (3, "estimate.aipw", 3, 9)
    JobDescription.model_validate(found)


@pytest.mark.trio
async def test_a_job_that_another_engine_deleted_or_replaced_is_forgotten() -> None:
    for stored, kept in (
        ([], False),
        ([an_ended_job("j", ENDED)], True),
        ([replace(a_job("j"), created_at="9999-01-01T00:00:00.000000+00:00")], False),
    ):
        state = state_of(store=Store(*stored), records=Records())
        state.jobs["j"] = a_finished()
        assert (await remembered(state.analyses, state.jobs, "j") is not None) is kept
        assert ("j" in state.jobs) is kept


@pytest.mark.trio
async def test_a_job_that_the_store_cannot_know_or_a_store_that_is_away_leaves_it_in_memory(autojump_clock) -> None:
    class Away(Store):
        async def job(self, job_id: str):
            raise StoreUnavailable("away")

    for job, store, records in (
        (Job("d", "j"), Store(), Records()),
        (a_finished(is_recorded=False), Store(), Records()),
        (a_finished(), Store(), Records("j")),
        (a_finished(), Away(), Records()),
    ):
        state = state_of(store=store, records=records)
        state.jobs["j"] = job
        assert await remembered(state.analyses, state.jobs, "j") is job
    assert await remembered(state.analyses, state.jobs, "unknown") is None


@pytest.mark.trio
async def test_a_slow_store_is_waited_for_and_a_hung_one_is_not(autojump_clock) -> None:
    class Slow(Store):
        def __init__(self, seconds: float) -> None:
            super().__init__()
            self.seconds = seconds

        async def job(self, job_id: str):
            await trio.sleep(self.seconds)
            return await super().job(job_id)

    for seconds, kept in ((1.5, False), (math.inf, True)):
        state = state_of(store=Slow(seconds), records=Records())
        state.jobs["j"] = a_finished()
        began = trio.current_time()
        assert (await remembered(state.analyses, state.jobs, "j") is not None) is kept
        assert trio.current_time() - began <= 2.0


@pytest.mark.trio
async def test_an_end_that_waits_for_the_store_is_reported_as_one_that_may_be_lost() -> None:
    for records, stored in ((Records("j"), False), (Records(), True)):
        state = state_of(store=Store(an_ended_job("j", ENDED)), records=records)
        state.jobs["j"] = a_finished()
        answer, body = await asked("GET", "/api/jobs/j", state)
        assert (answer.status_code, body["status"], body["stored"]) == (200, "succeeded", stored)


@pytest.mark.trio
async def test_jobs_are_listed_without_their_steps_and_an_unknown_state_is_refused() -> None:
    queries = []

    async def jobs(**query: object):
        queries.append(query)
        return Page(items=[a_job("j")], next="n")

    state = state_of(jobs=jobs, store=Store())
    answer, body = await asked("GET", "/api/jobs?status=running&limit=7&dataset_id=d", state)
    assert answer.status_code == 200
    assert queries == [{"dataset_id": "d", "status": "running", "limit": 7, "before": None}]
    assert body["next"] == "n"
    JobListing.model_validate(body)
    answer, body = await asked("GET", "/api/jobs?status=asleep", state)
    assert (answer.status_code, body["field"]) == (400, "status")
    assert "running" in body["choices"]


@pytest.mark.trio
async def test_a_job_of_another_engine_is_read_from_its_record_and_marked_so() -> None:
    state = state_of(store=Store(an_ended_job("j", ENDED)), records=Records())
    answer, body = await asked("GET", "/api/jobs/j", state)
    assert (answer.status_code, body["status"]) == (200, "succeeded")
    assert answer.headers["X-Second-Hand"] == "job record"
    state.jobs["j"] = a_finished()
    answer, body = await asked("GET", "/api/jobs/j", state)
    assert (body["status"], "X-Second-Hand" in answer.headers) == ("succeeded", False)


@pytest.mark.trio
async def test_the_record_of_an_ended_job_is_deleted_once_and_that_of_a_running_one_never() -> None:
    state = state_of(store=Store(an_ended_job("old", ENDED), an_ended_job("j", ENDED), a_job("far")), records=Records())
    state.jobs["j"] = a_finished()
    for job_id in ("old", "j"):
        answer, body = await asked("DELETE", f"/api/jobs/{job_id}", state)
        assert (answer.status_code, body["job_id"]) == (200, job_id)
    answer, body = await asked("DELETE", "/api/jobs/far", state)
    assert answer.status_code == 409
    assert (list(state.analyses.store.kept), dict(state.jobs)) == (["far"], {})
    waiting = state_of(store=Store(an_ended_job("j", ENDED)), records=Records("j"))
    waiting.jobs["j"] = a_finished()
    answer, body = await asked("DELETE", "/api/jobs/j", waiting)
    assert (answer.status_code, body["type"]) == (503, "store-unavailable")
