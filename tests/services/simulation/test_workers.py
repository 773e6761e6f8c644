from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import pytest
import trio
from trio.testing import MockClock

from cqox.analysis.workers.limits import ProcessLimits
from cqox.errors import LimitExceeded, WorkerLost
from services.simulation.recordings import Recorded, Recordings, UnknownTask, task_key
from services.simulation.workers import SimulatedWorker, WorkerFaults, Workers


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@pytest.fixture
def workers() -> Workers:
    recordings = Recordings()
    answer = Recorded(body={"n": 1}, payload=b"x", steps=({"step": "read"}, {"step": "fit"}), files={"table": b"t"})
    recordings.add(task_key("ingest", {"name": "a"}), answer)
    return Workers(recordings, Random(1), WorkerFaults())


async def started(workers: Workers) -> SimulatedWorker:
    return await workers.start(work="", limits=ProcessLimits(), threads=1)


async def outcome(call: Callable[[], Awaitable[object]]) -> BaseException | None:
    try:
        await call()
    except Exception as error:
        return error
    return None


@pytest.mark.trio
async def test_a_task_takes_time_reports_its_steps_and_writes_its_files(
    workers: Workers, tmp_path: Path, autojump_clock: MockClock
) -> None:
    worker, steps, began = await started(workers), list[object](), trio.current_time()
    reply = await worker.run("ingest", {"name": "a", "folder": str(tmp_path)}, steps.append)
    assert (reply.body, reply.payload) == ({"n": 1}, b"x")
    assert steps == [{"step": "read"}, {"step": "fit"}]
    assert (tmp_path / "table").read_bytes() == b"t"
    assert trio.current_time() > began
    assert worker.cpu_seconds() == pytest.approx(trio.current_time() - began)
    assert worker.alive


@pytest.mark.trio
async def test_a_task_that_nobody_recorded_ends_the_worker(workers: Workers, autojump_clock: MockClock) -> None:
    worker = await started(workers)
    assert isinstance(await outcome(lambda: worker.run("ingest", {"name": "b"})), UnknownTask)
    assert not worker.alive


@pytest.mark.trio
@pytest.mark.parametrize(("cause", "expected"), [("killed", WorkerLost), ("memory", LimitExceeded)])
async def test_what_ends_a_busy_worker_reaches_its_caller(
    workers: Workers,
    nursery: trio.Nursery,
    cause: str,
    expected: type[Exception],
    autojump_clock: MockClock,
) -> None:
    end = workers.kill_one if cause == "killed" else workers.run_out_of_memory
    assert not end()
    worker = await started(workers)
    workers.faults.slowness = 1e9
    nursery.start_soon(kill_later, end)
    assert isinstance(await outcome(lambda: worker.run("ingest", {"name": "a"})), expected)
    await worker.ended()
    assert workers.alive == []


async def kill_later(kill: Callable[[], bool]) -> None:
    await trio.sleep(1000)
    kill()


@pytest.mark.trio
async def test_a_cancelled_task_is_left_behind_until_it_is_settled(workers: Workers, autojump_clock: MockClock) -> None:
    worker = await started(workers)
    workers.faults.slowness = 1e6
    with trio.move_on_after(1):
        await worker.run("ingest", {"name": "a"})
    assert worker.abandoned
    await worker.settle(0.06)
    assert not worker.abandoned


@pytest.mark.trio
async def test_no_worker_starts_where_there_is_no_memory(workers: Workers, autojump_clock: MockClock) -> None:
    workers.faults.refusing = 1
    assert isinstance(await outcome(lambda: started(workers)), OSError)
    workers.faults.refusing = 0
    await started(workers)
    workers.kill_all()
    assert workers.alive == []
