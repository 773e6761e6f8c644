from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from cqox.analysis.jobs import Ending, Job, Jobs, Outcome
from cqox.analysis.single_flight import OnStep
from cqox.analysis.weight import weight_of
from cqox.errors import InvalidRequest, NotFound
from cqox.storage import DEFAULT_TENANT
from cqox.tasks import open_task_group
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio


class Owner:
    """The owner of the process: it can cut every job, whichever order they began in."""

    def __init__(self) -> None:
        self._scopes: dict[str, anyio.CancelScope] = {}

    @contextmanager
    def shift(self, what: str) -> Iterator[anyio.CancelScope]:
        with anyio.CancelScope() as scope:
            self._scopes[what] = scope
            yield scope

    def cut(self, job: Job) -> None:
        self._scopes[f"job {job.job_id}"].cancel()


async def succeed(on_step: OnStep) -> Outcome:
    on_step({"step": "read"})
    await anyio.lowlevel.checkpoint()
    on_step({"step": "plan"})
    return Outcome(analysis_id="a1")


async def fail(on_step: OnStep) -> Outcome:
    raise InvalidRequest("no")


async def last(on_step: OnStep) -> Outcome:
    await anyio.sleep_forever()
    raise AssertionError


async def heard(job: Job, after: int = 0) -> list[tuple[int, str]]:
    return [(message.number, message.event) async for message in job.listen(after)]


async def test_a_job_outlives_its_client_and_reports_its_steps() -> None:
    async with open_task_group() as app:
        jobs = Jobs(app, Owner().shift).within(DEFAULT_TENANT)
        job = jobs.start("d", succeed)
        assert jobs.running == 1
        with anyio.fail_after(PATIENCE_SECONDS):
            assert await heard(job) == [(1, "step"), (2, "step"), (3, "succeeded")]
    assert jobs.get(job.job_id).outcome == Outcome(analysis_id="a1")
    assert job.state == "succeeded"
    assert job.finished_at is not None


async def test_an_estimate_is_an_event_of_its_own_after_its_step() -> None:
    result = {"name": "aipw", "estimate": 2.0, "done": 1, "planned": 9}
    job = Job("d", "j")
    assert job.progress is None
    job.add_step({"step": "read"})
    job.add_step({"step": "estimate.aipw", "estimate": 2.0, "result": result})
    assert [(each.number, each.event) for each in job.messages] == [(1, "step"), (2, "step"), (3, "estimate")]
    assert job.messages[1].body == {"step": "estimate.aipw", "estimate": 2.0}
    assert job.messages[2].body == job.progress == result
    job._end(Ending(state="cancelled", finished_at="now"), {})
    assert job.size_bytes == sum(weight_of(each.body) for each in job.messages)


async def test_a_listener_who_comes_back_hears_only_what_it_missed() -> None:
    async with open_task_group() as app:
        job = Jobs(app, Owner().shift).within(DEFAULT_TENANT).start("d", succeed)
    assert await heard(job, after=2) == [(3, "succeeded")]
    assert await heard(job, after=99) == []


async def test_a_failure_is_kept_for_who_asks() -> None:
    async with open_task_group() as app:
        job = Jobs(app, Owner().shift).within(DEFAULT_TENANT).start("d", fail)
    assert job.state == "failed"
    assert isinstance(job.failure, InvalidRequest)
    assert await heard(job) == [(1, "failed")]


async def test_a_cancelled_job_ends_and_says_so_to_its_listeners() -> None:
    async with open_task_group() as app:
        job, received = Jobs(app, Owner().shift).within(DEFAULT_TENANT).start("d", last), list[tuple[int, str]]()

        async def listen() -> None:
            received.extend(await heard(job))

        app.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        job.cancel()
    assert received == [(1, "cancelled")]
    assert job.state == "cancelled"


async def test_a_job_cut_by_the_end_of_the_process_is_interrupted_not_cancelled() -> None:
    owner = Owner()
    async with open_task_group() as app:
        job = Jobs(app, owner.shift).within(DEFAULT_TENANT).start("d", last)
        await anyio.wait_all_tasks_blocked()
        owner.cut(job)
    assert job.state == "interrupted"
    async with open_task_group() as app:
        other = Jobs(app, Owner().shift).within(DEFAULT_TENANT).start("d", last)
        await anyio.wait_all_tasks_blocked()
        app.cancel_scope.cancel()
    assert other.state == "interrupted"


async def test_a_listener_that_leaves_changes_nothing_for_the_job() -> None:
    async with open_task_group() as app:
        job = Jobs(app, Owner().shift).within(DEFAULT_TENANT).start("d", last)
        with anyio.move_on_after(0.01):
            await heard(job)
        assert not job.done
        job.cancel()


async def test_a_job_of_a_given_id_is_started_once_and_again_only_where_it_was_interrupted() -> None:
    owner, runs = Owner(), list[int]()

    async def count(on_step: OnStep) -> Outcome:
        runs.append(len(runs))
        if len(runs) < 3:
            await anyio.sleep_forever()
        return Outcome(analysis_id="a1")

    async with open_task_group() as app:
        jobs = Jobs(app, owner.shift).within(DEFAULT_TENANT)
        first = jobs.start("d", count, job_id="mine")
        assert jobs.start("d", count, job_id="mine") is first
        assert jobs.start("d", count) is not first
        await anyio.wait_all_tasks_blocked()
        owner.cut(first)
        await heard(first)
        assert first.state == "interrupted"
        again = jobs.start("d", count, job_id="mine")
        await heard(again)
        assert (again.job_id, again.state, len(runs)) == ("mine", "succeeded", 3)
        assert jobs.start("d", count, job_id="mine") is again
        app.cancel_scope.cancel()


async def test_a_job_that_runs_is_never_forgotten() -> None:
    async with open_task_group() as app:
        jobs = Jobs(app, Owner().shift, remembered=1).within(DEFAULT_TENANT)
        running = jobs.start("d", last)
        for _ in range(5):
            await heard(jobs.start("d", succeed))
        assert jobs.get(running.job_id) is running
        running.cancel()


async def test_an_unknown_job_is_not_found_and_ended_ones_are_forgotten_in_order() -> None:
    async with open_task_group() as app:
        jobs = Jobs(app, Owner().shift, remembered=2).within(DEFAULT_TENANT)
        with pytest.raises(NotFound):
            jobs.get("nothing")
        started = []
        for _ in range(4):
            started.append(jobs.start("d", succeed))
            await heard(started[-1])
        jobs.start("d", fail)
        with pytest.raises(NotFound):
            jobs.get(started[0].job_id)
        assert jobs.get(started[-1].job_id).state == "succeeded"


async def test_the_end_of_a_job_is_recorded_before_it_is_reported() -> None:
    seen = list[tuple[str, str, int]]()

    async def ended(job: Job, ending: Ending) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append((job.state, ending.state, len(job.messages)))

    async with open_task_group() as app:
        jobs = Jobs(app, Owner().shift, ended=ended).within(DEFAULT_TENANT)
        jobs.launch(job := Job("d"), succeed)
        assert await heard(job) == [(1, "step"), (2, "step"), (3, "succeeded")]
        jobs.launch(cut := Job("d"), last)
        await anyio.wait_all_tasks_blocked()
        cut.cancel()
        assert await heard(cut) == [(1, "cancelled")]
        assert await heard(jobs.start("d", succeed)) != []
    assert seen == [("running", "succeeded", 2), ("running", "cancelled", 0)]


async def test_a_job_that_is_launched_takes_the_place_of_an_earlier_one_of_its_id() -> None:
    async with open_task_group() as app:
        jobs = Jobs(app, Owner().shift).within(DEFAULT_TENANT)
        jobs.launch(first := Job("d", "mine"), succeed)
        await heard(first)
        jobs.launch(again := Job("d", "mine"), succeed)
        assert jobs.find("mine") is again
        await heard(again)


async def test_the_steps_of_ended_jobs_take_no_more_memory_than_they_may() -> None:
    async def talk(on_step: OnStep) -> Outcome:
        for number in range(50):
            on_step({"step": f"estimate.{number}", "estimate": {"estimate": number / 7, "names": ["a" * 100] * 3}})
        return Outcome(analysis_id="a1")

    async with open_task_group() as app:
        jobs = Jobs(app, Owner().shift, max_bytes=200_000).within(DEFAULT_TENANT)
        made = list[Job]()
        for _ in range(40):
            made.append(jobs.start("d", talk))
            await heard(made[-1])
            assert jobs.size_bytes <= 200_000 + made[-1].size_bytes
        assert made[0].size_bytes > 10_000
        remembered = [job for job in made if jobs.find(job.job_id) is not None]
        assert remembered == made[-len(remembered) :]
        assert 2 <= len(remembered) < 20


async def test_ended_jobs_are_forgotten_on_request_and_running_ones_are_not() -> None:
    async with open_task_group() as app:
        jobs = Jobs(app, Owner().shift).within(DEFAULT_TENANT)
        done, other, runs = jobs.start("d", succeed), jobs.start("e", succeed), jobs.start("d", last)
        await heard(done)
        await heard(other)
        jobs.forget_of("d")
        jobs.forget("nothing")
        assert [jobs.find(job.job_id) for job in (done, other, runs)] == [None, other, runs]
        jobs.forget(runs.job_id)
        jobs.forget(other.job_id)
        assert [jobs.find(job.job_id) for job in (other, runs)] == [None, runs]
        runs.cancel()


async def test_running_jobs_on_a_data_set_are_cancelled_and_no_others() -> None:
    async def forever(on_step: OnStep) -> Outcome:
        await anyio.sleep_forever()
        raise AssertionError

    async with open_task_group() as group:
        jobs = Jobs(group, Owner().shift).within(DEFAULT_TENANT)
        mine, other = jobs.start("d", forever), jobs.start("other", forever)
        theirs = jobs.within("acme").start("d", forever)
        jobs.cancel_of("d")
        with anyio.fail_after(PATIENCE_SECONDS):
            assert await mine.wait_beyond(0)
        await anyio.lowlevel.checkpoint()
        assert (mine.state, other.state, theirs.state) == ("cancelled", "running", "running")
        group.cancel_scope.cancel()
