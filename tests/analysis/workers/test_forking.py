"""Workers that a template forks, in a pool: its template, its failures, and the ends of both."""

import ctypes
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from cqox.analysis.workers import ProcessLimits, WorkerPool
from cqox.analysis.workers.forking import Forking, can_fork
from cqox.errors import LimitExceeded, WorkerLost, WorkersUnavailable
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.anyio
CHORES = "tests.analysis.workers.chores"
UNLIMITED = ProcessLimits()


@asynccontextmanager
async def opened(
    *, work: str = CHORES, size: int = 1, spares: int = 0, limits: ProcessLimits = UNLIMITED
) -> AsyncIterator[tuple[WorkerPool, Forking]]:
    with anyio.fail_after(PATIENCE_SECONDS):
        async with Forking.open(work=work, threads=1) as forking:
            async with WorkerPool.open(work=work, size=size, spares=spares, limits=limits, start=forking.start) as pool:
                yield pool, forking


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def worker_of(pool: WorkerPool) -> int:
    return int(str((await pool.run("echo", {})).body["pid"]))


def template_of(forking: Forking) -> int:
    assert forking.template_pid is not None
    return forking.template_pid


def adopts_orphans() -> int:
    found = ctypes.c_int()
    ctypes.CDLL(None).prctl(37, ctypes.byref(found), 0, 0, 0)
    return found.value


def written(path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> str:
    """Write a module of tasks for the processes that are started from now on; its name."""
    (path / "tasks_of_a_test.py").write_text(f"from {CHORES} import perform\n{code}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(path), os.getcwd()]))
    return "tasks_of_a_test"


async def test_forked_workers_run_tasks_as_children_of_this_process() -> None:
    before = adopts_orphans()
    async with opened(size=2) as (pool, forking):
        await until(lambda: pool.idle == 2)
        reply = await pool.run("echo", {"text": "日本"})
        assert (reply.body["text"], reply.payload) == ("日本", b"payload")
        pids = {await worker_of(pool) for _ in range(2)}
        assert len(pids) == 2
        assert {parent_of(pid) for pid in pids} == {os.getpid()}
        template = template_of(forking)
        assert template not in pids
        assert pool.cpu_seconds() > 0
        assert adopts_orphans() == 1
    # Waited for, so that none is left as a zombie either.
    assert all(map(gone, [*pids, template]))
    assert adopts_orphans() == before


async def test_a_forked_worker_that_is_killed_is_reported_and_replaced() -> None:
    async with opened() as (pool, forking):
        first, template = await worker_of(pool), template_of(forking)
        with pytest.raises(WorkerLost):
            await pool.run("die", {})
        assert await worker_of(pool) != first
        assert pool.restarts == 1
        assert forking.template_pid == template
        assert gone(first)


async def test_limits_hold_in_a_forked_worker_and_name_their_cause() -> None:
    async with opened(limits=ProcessLimits(memory_bytes=200 * 2**20, cpu_seconds=1)) as (pool, _):
        with pytest.raises(LimitExceeded, match="CQOX_WORKER_MEMORY_BYTES"):
            await pool.run("devour", {"bytes": 400 * 2**20})
        with pytest.raises(LimitExceeded, match="exceeded the CPU time limit"):
            await pool.run("burn", {"seconds": 60})


async def test_workers_outlive_their_template_which_is_replaced_when_it_is_needed() -> None:
    async with opened() as (pool, forking):
        worker, template = await worker_of(pool), template_of(forking)
        os.kill(template, signal.SIGKILL)
        assert await worker_of(pool) == worker
        os.kill(worker, signal.SIGKILL)
        await until(lambda: pool.restarts == 1)
        assert await worker_of(pool) != worker
        assert template_of(forking) != template
        assert gone(template)


@pytest.mark.parametrize(
    "code",
    [
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        "def load(): pass\ndef warm(): pass\n",
        "import os\ndef load(): os._exit(3)\ndef warm(): pass\n",
        # A worker that is forked does not become ready.
        "import os\nforked = []\ndef load(): forked.append(True)\ndef warm():\n    if forked: os._exit(3)\n",
    ],
    ids=["threads", "template exits", "workers exit"],
)
async def test_workers_are_started_one_by_one_after_two_failures_and_the_log_says_so(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    work = written(tmp_path, monkeypatch, code)
    with caplog.at_level(logging.WARNING, "cqox.analysis.workers"):
        async with opened(work=work) as (pool, forking):
            await worker_of(pool)
            assert forking.template_pid is None
            with pytest.raises(WorkerLost):
                await pool.run("die", {})
            await worker_of(pool)
    failures = [message for message in caplog.messages if "was not forked" in message]
    assert ["1 in a row" in failures[0], "2 in a row" in failures[1], len(failures)] == [True, True, 2]
    assert len([message for message in caplog.messages if "one by one" in message]) == 1


async def test_tasks_that_do_not_load_fail_a_call_instead_of_letting_it_wait() -> None:
    async with opened(work="tests.analysis.workers.no_such_module") as (pool, _):
        with pytest.raises(WorkersUnavailable, match="do not start"):
            await pool.run("echo", {})


async def test_a_system_that_starts_no_process_now_is_no_failure_of_the_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = written(
        tmp_path, monkeypatch,
        "import errno, os\nreally, failures = os.fork, [errno.EAGAIN] * 3\n"
        "def fork():\n    if failures: raise OSError(failures.pop(), 'no process')\n    return really()\n"
        "def load(): os.fork = fork\ndef warm(): pass\n",
    )  # fmt: skip
    with anyio.fail_after(PATIENCE_SECONDS):
        async with Forking.open(work=work, threads=1) as forking:
            for _ in range(3):
                with pytest.raises(BlockingIOError):
                    await forking.start(work=work, limits=UNLIMITED, threads=1)
            template = template_of(forking)
            worker = await forking.start(work=work, limits=UNLIMITED, threads=1)
            assert template_of(forking) == template
            worker.kill()
            await worker.ended()


async def test_a_stopped_template_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as (pool, forking):
        worker, template = await worker_of(pool), template_of(forking)
        monkeypatch.setattr("cqox.analysis.workers.forking._FORK_SECONDS", 0.1)
        os.kill(template, signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        await until(lambda: gone(template))
        monkeypatch.undo()
        assert await worker_of(pool) != worker


async def test_a_start_that_is_cancelled_leaves_its_template_to_the_next_one_and_no_process_behind() -> None:
    with anyio.fail_after(PATIENCE_SECONDS):
        async with Forking.open(work=CHORES, threads=1) as forking:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: forking.start(work=CHORES, limits=UNLIMITED, threads=1))
                await until(lambda: forking.template_pid is not None)
                template = template_of(forking)
                group.cancel_scope.cancel()
            worker = await forking.start(work=CHORES, limits=UNLIMITED, threads=1)
            assert template_of(forking) == template
            worker.kill()
            await worker.ended()
    assert gone(template)
    assert gone(worker.pid)


async def test_workers_of_another_kind_are_started_as_processes_of_their_own() -> None:
    with anyio.fail_after(PATIENCE_SECONDS):
        async with Forking.open(work=CHORES, threads=1) as forking:
            worker = await forking.start(work=CHORES, limits=UNLIMITED, threads=2)
            try:
                assert forking.template_pid is None
            finally:
                worker.kill()
                await worker.ended()


def test_only_linux_with_descriptors_of_processes_forks_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_fork() == (sys.platform == "linux")

    def refuse(pid: int) -> int:
        raise OSError("no such call")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pidfd_open", refuse)
        assert not can_fork()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not can_fork()
