import errno
import logging
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from cqox.analysis.quarantine import Quarantine
from cqox.analysis.workers import ProcessLimits, TaskFailed, WorkerPool
from cqox.analysis.workers import pool as pool_module
from cqox.analysis.workers.process import WorkerProcess
from cqox.errors import InvalidRequest, LimitExceeded, StoreUnavailable, WorkerLost, WorkersUnavailable
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.anyio
UNLIMITED = ProcessLimits()
CHORES = "tests.analysis.workers.chores"


@asynccontextmanager
async def opened(size: int = 1, spares: int = 1, limits: ProcessLimits = UNLIMITED) -> AsyncIterator[WorkerPool]:
    with anyio.fail_after(PATIENCE_SECONDS):
        async with WorkerPool.open(work=CHORES, size=size, spares=spares, limits=limits) as pool:
            yield pool


def gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_a_task_returns_values_and_bytes() -> None:
    async with opened() as pool:
        reply = await pool.run("echo", {"text": "日本"})
    assert reply.body["text"] == "日本"
    assert reply.payload == b"payload"


async def test_steps_and_log_lines_arrive_while_the_task_runs(caplog: pytest.LogCaptureFixture) -> None:
    steps: list[Mapping[str, object]] = []
    with caplog.at_level(logging.INFO, "chores"):
        async with opened() as pool:
            await pool.run("steps", {}, steps.append)
    assert [step["step"] for step in steps] == [0, 1, 2]
    assert "three steps taken" in caplog.messages


async def test_a_refusal_keeps_its_class_and_words_and_the_process_lives() -> None:
    async with opened(spares=0) as pool:
        before = (await pool.run("echo", {})).body["pid"]
        with pytest.raises(InvalidRequest) as caught:
            await pool.run("refuse", {})
        after = (await pool.run("echo", {})).body["pid"]
    assert (caught.value.detail, caught.value.field, caught.value.choices) == (
        "no such column",
        "mapping.y",
        ("a", "b"),
    )
    assert before == after


async def test_numbers_that_are_not_finite_arrive_as_null_and_the_log_names_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps: list[Mapping[str, object]] = []
    async with opened() as pool:
        reply = await pool.run("not-finite", {}, steps.append)
    assert steps == [{"step": "dividing", "estimate": None}]
    assert reply.body == {"values": [1.0, None], "rows": {"n": 3}}
    assert [message for message in caplog.messages if "finite" in message] == [
        "A progress contained numbers that are not finite, replaced by null: estimate.",
        "A result contained numbers that are not finite, replaced by null: values.1.",
    ]


async def test_a_warning_of_a_library_is_one_line_of_the_log_once(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async with opened() as pool:
        await pool.run("warn", {})
        await pool.run("warn", {})
    logged = [record for record in caplog.records if record.name == "py.warnings"]
    assert len(logged) == 1
    assert logged[0].getMessage().startswith("RuntimeWarning: divide by zero in scalar (workers/chores.py:")
    assert "\n" not in logged[0].getMessage()
    assert "RuntimeWarning" not in capfd.readouterr().err


async def test_a_full_disk_is_no_fault_of_the_task_and_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    async with opened() as pool:
        with pytest.raises(StoreUnavailable, match="disk of the data directory is full"):
            await pool.run("no-room", {})
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("name", ["crash", "not-json"])
async def test_an_unforeseen_exception_is_logged_with_its_trace(name: str, caplog: pytest.LogCaptureFixture) -> None:
    async with opened() as pool:
        with pytest.raises(TaskFailed):
            await pool.run(name, {})
        assert "payload" in str((await pool.run("echo", {"a": "payload"})).body)
    assert "Traceback" in caplog.text


async def test_a_killed_worker_is_reported_and_the_next_task_finds_a_warm_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def start(**_: object) -> WorkerProcess:
        await anyio.sleep_forever()
        raise AssertionError

    async with opened() as pool:
        await until(lambda: pool.idle == 2)
        monkeypatch.setattr(WorkerProcess, "start", start)
        with pytest.raises(WorkerLost):
            await pool.run("die", {})
        await pool.run("echo", {})


async def test_no_more_workers_start_at_once_than_half_the_cores_so_that_the_first_is_warm_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on = list[int](), anyio.Event()

    async def start(**_: object) -> WorkerProcess:
        begun.append(len(begun))
        await go_on.wait()
        await anyio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(WorkerProcess, "start", start)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 4)
    async with opened(size=3, spares=1):
        await anyio.wait_all_tasks_blocked()
        assert len(begun) == 2


async def cancelled_once_begun(pool: WorkerPool, name: str, arguments: Mapping[str, object]) -> int:
    """Cancel a task at its first step; the process that ran it."""
    steps: list[Mapping[str, object]] = []
    async with anyio.create_task_group() as group:
        group.start_soon(pool.run, name, arguments, steps.append)
        await until(lambda: steps)
        group.cancel_scope.cancel()
    return int(str(steps[0]["pid"]))


async def test_a_cancelled_task_that_looks_out_for_it_leaves_its_process_to_others() -> None:
    async with opened(spares=0) as pool:
        pids = {await cancelled_once_begun(pool, "stride", {"seconds": 60}) for _ in range(50)}
        pids.add(int(str((await pool.run("echo", {})).body["pid"])))
        assert len(pids) == 1
        assert pool.restarts == 0


async def test_a_cancelled_task_gives_its_place_up_while_it_still_ends() -> None:
    async with opened(spares=1) as pool:
        await until(lambda: pool.idle == 2)
        pid = await cancelled_once_begun(pool, "burn", {"seconds": 60})
        reply = await pool.run("echo", {"number": 7})
        assert reply.body["number"] == 7
        assert reply.body["pid"] != pid


async def test_the_process_of_a_cancelled_task_that_does_not_end_is_killed() -> None:
    async with opened(spares=0) as pool:
        pid = await cancelled_once_begun(pool, "burn", {"seconds": 60})
        await until(lambda: gone(pid))
        assert (await pool.run("echo", {"number": 7})).body["number"] == 7


async def test_a_stopped_process_whose_task_is_cancelled_is_killed() -> None:
    async with opened(spares=0) as pool:
        steps: list[Mapping[str, object]] = []
        async with anyio.create_task_group() as group:
            group.start_soon(pool.run, "stride", {"seconds": 60}, steps.append)
            await until(lambda: steps)
            os.kill(int(str(steps[0]["pid"])), signal.SIGSTOP)
            group.cancel_scope.cancel()
        await until(lambda: gone(int(str(steps[0]["pid"]))))


async def test_a_cancellation_that_comes_as_the_task_answers_confuses_nobody() -> None:
    async with opened(spares=0) as pool:
        for number in range(100):
            with anyio.move_on_after(number * 2e-5):
                await pool.run("echo", {"number": -number})
            assert (await pool.run("echo", {"number": number})).body["number"] == number
        assert pool.restarts == 0


async def test_callers_get_processes_in_the_order_in_which_they_came_and_those_that_left_get_none() -> None:
    pool = WorkerPool(work=CHORES, size=4)
    free = cast("WorkerProcess", SimpleNamespace(alive=True))
    served: list[int] = []
    scopes = [anyio.CancelScope() for _ in range(4)]

    async def call(number: int) -> None:
        with scopes[number]:
            await pool._take()
            served.append(number)

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(call, number)
            await anyio.wait_all_tasks_blocked()
        scopes[1].cancel()
        for _ in range(4):
            pool._offer(free)
            await anyio.wait_all_tasks_blocked()
    assert served == [0, 2, 3]
    assert pool.idle == 1


async def test_a_worker_says_in_its_name_what_it_does() -> None:
    seen: list[str] = []

    def name(pid: object) -> str:
        with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
            return comm.read().strip()

    async with opened(spares=0) as pool:
        pid = (await pool.run("burn", {"seconds": 0.05}, lambda step: seen.append(name(step["pid"])))).body["pid"]
        assert seen == ["cqox:burn"]
        assert name(pid) == "cqox:idle"


async def test_a_sigint_to_a_worker_changes_nothing() -> None:
    async with opened(spares=0) as pool:
        first = (await pool.run("interrupt", {})).body["pid"]
        for number in range(5):
            reply = await pool.run("echo", {"number": number})
            assert (reply.body["number"], reply.body["pid"]) == (number, first)


async def test_the_memory_bound_ends_the_task_and_names_the_setting() -> None:
    async with opened(limits=ProcessLimits(memory_bytes=200 * 1024 * 1024)) as pool:
        with pytest.raises(LimitExceeded, match="CQOX_WORKER_MEMORY_BYTES"):
            await pool.run("devour", {"bytes": 400 * 1024 * 1024})
        assert (await pool.run("devour", {"bytes": 50 * 1024 * 1024})).body["held"] == 50 * 1024 * 1024


async def test_no_more_tasks_run_at_once_than_the_pool_has_places() -> None:
    async with opened(size=2, spares=1) as pool:
        await pool.ready()
        seen: list[int] = []

        async def burn() -> None:
            await pool.run("burn", {"seconds": 0.15}, lambda _: seen.append(pool.busy))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(burn)
    assert max(seen) == 2
    assert len(seen) == 5


async def test_an_idle_worker_that_dies_is_replaced() -> None:
    async with opened(spares=0) as pool:
        pid = int(str((await pool.run("echo", {})).body["pid"]))
        os.kill(pid, signal.SIGKILL)
        await until(lambda: gone(pid) and pool.restarts == 1)
        assert (await pool.run("echo", {})).body["pid"] != pid


async def test_leaving_the_pool_ends_every_process() -> None:
    async with opened(size=1, spares=1) as pool:
        pid = int(str((await pool.run("echo", {})).body["pid"]))
    assert gone(pid)


async def test_a_module_that_does_not_load_fails_the_task_instead_of_hanging() -> None:
    with anyio.fail_after(PATIENCE_SECONDS):
        async with WorkerPool.open(work="tests.analysis.workers.no_such_module", size=1, spares=0) as pool:
            with pytest.raises(WorkersUnavailable, match="do not start"):
                await pool.run("echo", {})


@pytest.mark.parametrize(
    "failure",
    [OSError(errno.EMFILE, os.strerror(errno.EMFILE)), LimitExceeded("it ran into its memory bound")],
    ids=["files", "memory"],
)
async def test_a_task_that_finds_no_worker_is_not_put_into_quarantine(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(**_: object) -> WorkerProcess:
        raise failure

    quarantine = Quarantine()
    monkeypatch.setattr(pool_module, "_MAX_PAUSE_SECONDS", 0.0)
    with monkeypatch.context() as broken:
        broken.setattr(WorkerProcess, "start", start)
        async with opened(spares=0) as pool:
            for _ in range(3):
                with pytest.raises(WorkersUnavailable):
                    await quarantine.guard("innocent", lambda: pool.run("echo", {"number": 7}))
            broken.undo()
            await pool.ready()
            assert (await quarantine.guard("innocent", lambda: pool.run("echo", {"number": 7}))).body["number"] == 7


async def test_processes_that_fail_to_start_at_the_same_moment_are_tried_again_before_a_task_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, refused = WorkerProcess.start, list[int]()

    async def start_later(**settings: Any) -> WorkerProcess:
        if len(refused) < 3:
            refused.append(len(refused))
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return await start(**settings)

    monkeypatch.setattr(WorkerProcess, "start", start_later)
    async with opened(size=2, spares=1) as pool:
        assert (await pool.run("echo", {"number": 7})).body["number"] == 7
    assert len(refused) == 3


async def test_a_task_is_refused_after_as_many_rounds_however_many_processes_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began = list[float]()

    async def start(**_: object) -> WorkerProcess:
        began.append(anyio.current_time())
        await anyio.sleep(0.25)
        raise WorkerLost("it ended before it was ready")

    monkeypatch.setattr(WorkerProcess, "start", start)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 1)
    async with opened(size=8) as pool:
        with pytest.raises(WorkersUnavailable):
            await pool.run("echo", {})
    assert 3 <= len(began) <= 8, "each of the nine was tried"


def test_sizes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="size must be at least 1, not 0"):
        WorkerPool(work=CHORES, size=0)
    with pytest.raises(ValueError, match="spares must be at least 0, not -1"):
        WorkerPool(work=CHORES, size=1, spares=-1)


async def test_the_cpu_time_of_processes_never_falls_and_their_memory_is_that_of_the_live_ones() -> None:
    async with opened() as pool:
        await until(lambda: pool.idle == 2)
        before, memory = pool.cpu_seconds(), pool.memory_bytes()
        assert before > 0
        assert memory > 2 * 2**20
        with pytest.raises(WorkerLost):
            await pool.run("die", {})
        await until(lambda: pool.restarts == 1 and pool.idle == 2)
        assert pool.cpu_seconds() > before
        assert 0 < pool.memory_bytes() < 2 * memory
    assert pool.cpu_seconds() > before
    assert pool.memory_bytes() == 0


async def test_the_questions_of_a_task_are_answered_while_it_waits() -> None:
    asked: list[Mapping[str, object]] = []

    async def serve(question: Mapping[str, object]) -> bytes:
        asked.append(question)
        return b"%d;" % len(asked) * 300_000

    async with opened() as pool:
        reply = await pool.run("ask", {}, serve=serve)
    assert asked == [{"number": 0}, {"number": 1}]
    assert reply.payload == b"1;" * 300_000 + b"2;" * 300_000


async def test_a_question_that_fails_or_is_cancelled_ends_the_task() -> None:
    waits = anyio.Event()

    async def fail(_: Mapping[str, object]) -> bytes:
        raise InvalidRequest("no such table")

    async def wait(_: Mapping[str, object]) -> bytes:
        waits.set()
        await anyio.sleep_forever()
        raise AssertionError

    async with opened(spares=0) as pool:
        with pytest.raises(InvalidRequest, match="no such table"):
            await pool.run("ask", {}, serve=fail)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: pool.run("ask", {}, serve=wait))
            await waits.wait()
            group.cancel_scope.cancel()
        assert (await pool.run("echo", {"text": "next"})).body["text"] == "next"
