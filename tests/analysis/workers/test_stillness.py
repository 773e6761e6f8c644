import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import cast

import anyio
import pytest

from cqox.analysis.workers import ProcessLimits, WorkerPool
from cqox.analysis.workers.stillness import Stillness, near_memory_limit
from cqox.errors import LimitExceeded, WorkerLost
from tests.waiting import PATIENCE_SECONDS

ASLEEP = "import threading; print('ready', flush=True); threading.Event().wait()"
BUSY = "print('ready', flush=True)\nwhile True: pass"
ONE_BUSY_THREAD = f"""
import threading, time
def burn():
    while True: pass
threading.Thread(target=burn, daemon=True).start()
{ASLEEP}"""


@contextmanager
def process(code: str) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as started:
        try:
            assert started.stdout is not None
            assert started.stdout.readline() == b"ready\n"
            yield started.pid
        finally:
            started.kill()


def cpu_seconds(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | 2)


def fall_asleep(pid: int) -> None:
    """Wait until the process, which says that it is ready before it sleeps, does."""
    for _ in range(500):
        if Stillness(pid, lambda: 1.0).look(5):
            return
        time.sleep(0.02)
    raise AssertionError("it does not sleep")


def looked_at(pid: int) -> list[float]:
    stillness = Stillness(pid, lambda: cpu_seconds(pid))
    found = []
    for _ in range(3):
        time.sleep(0.1)
        found.append(stillness.look(0.1))
    return found


def test_a_process_whose_threads_sleep_is_still_from_the_first_look_on() -> None:
    with process(ASLEEP) as pid:
        fall_asleep(pid)
        assert looked_at(pid) == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize("code", [BUSY, ONE_BUSY_THREAD])
def test_a_process_that_computes_is_not_still(code: str) -> None:
    with process(code) as pid:
        assert looked_at(pid) == [0.0, 0.0, 0.0]


def test_a_process_that_was_stopped_is_not_still() -> None:
    with process(ASLEEP) as pid:
        fall_asleep(pid)
        os.kill(pid, signal.SIGSTOP)
        assert looked_at(pid) == [0.0, 0.0, 0.0]


def test_time_begins_again_after_work() -> None:
    used = iter([1.0, 1.0, 1.0, 1.5, 1.5])
    with process(ASLEEP) as pid:
        fall_asleep(pid)
        stillness = Stillness(pid, lambda: next(used))
        assert [stillness.look(5) for _ in range(4)] == [5.0, 10.0, 0.0, 5.0]


def test_a_process_that_has_ended_is_not_still() -> None:
    with process(ASLEEP) as pid:
        pass
    assert Stillness(pid, lambda: 1.0).look(5) == 0.0


def test_a_name_of_a_thread_is_not_taken_for_its_state() -> None:
    with process(f"open('/proc/self/comm', 'w').write('x) R (y'); {ASLEEP}") as pid:
        fall_asleep(pid)
        assert looked_at(pid)[-1] == pytest.approx(0.3)


def test_a_process_is_near_its_limit_of_memory_or_has_none() -> None:
    with process(ASLEEP) as pid:
        assert not near_memory_limit(pid)
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            used = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
        resource.prlimit(pid, resource.RLIMIT_DATA, (2 * used, 2 * used))
        assert not near_memory_limit(pid)
        resource.prlimit(pid, resource.RLIMIT_DATA, (used + 4096, used + 4096))
        assert near_memory_limit(pid)
    assert not near_memory_limit(pid)


@asynccontextmanager
async def opened(limits: ProcessLimits) -> AsyncIterator[WorkerPool]:
    work = "tests.analysis.workers.chores"
    with anyio.fail_after(PATIENCE_SECONDS):
        async with WorkerPool.open(work=work, size=1, spares=0, limits=limits) as pool:
            yield pool


@pytest.mark.parametrize(
    ("held", "error", "words"),
    [(0, WorkerLost, "did nothing for its task for 1 s"), (190 * 2**20, LimitExceeded, "CQOX_WORKER_MEMORY_BYTES")],
)
@pytest.mark.anyio
async def test_a_process_that_does_nothing_for_its_task_is_ended_and_replaced(
    held: int, error: type[Exception], words: str
) -> None:
    seen: list[int] = []
    limits = ProcessLimits(memory_bytes=200 * 2**20, still_seconds=1)
    async with opened(limits) as pool:
        with pytest.raises(error, match=words):
            await pool.run("doze", {"bytes": held}, lambda step: seen.append(cast("int", step["pid"])))
        assert (await pool.run("echo", {})).body["pid"] != seen[0]
        with pytest.raises(ProcessLookupError):
            os.kill(seen[0], 0)


@pytest.mark.anyio
async def test_a_process_that_computes_or_waits_for_an_answer_may_take_its_time() -> None:
    async def serve(_: Mapping[str, object]) -> bytes:
        await anyio.sleep(1.5)
        return b"late"

    async with opened(ProcessLimits(still_seconds=1)) as pool:
        pid = (await pool.run("burn", {"seconds": 1.5})).body["pid"]
        assert (await pool.run("ask", {}, serve=serve)).payload == b"latelate"
        assert (await pool.run("echo", {})).body["pid"] == pid
