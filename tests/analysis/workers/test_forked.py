"""A child process by its id."""

import os
import signal
import sys

import anyio
import pytest

from cqox.analysis.workers.forked import ForkedProcess
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio


def started(code: str) -> ForkedProcess:
    return ForkedProcess(os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", code], os.environ))


def asleep() -> ForkedProcess:
    return started("import time; time.sleep(600)")


async def test_the_status_of_a_process_is_that_of_its_exit() -> None:
    process = started("raise SystemExit(7)")
    with anyio.fail_after(PATIENCE_SECONDS):
        assert await process.wait() == 7
    assert process.returncode == 7
    assert await process.wait() == 7


async def test_the_status_of_a_killed_process_names_the_signal() -> None:
    process = asleep()
    assert process.returncode is None
    process.send_signal(signal.SIGKILL)
    with anyio.fail_after(PATIENCE_SECONDS):
        assert await process.wait() == -signal.SIGKILL


async def test_several_tasks_wait_for_one_process_and_a_cancelled_one_leaves_it_to_the_others() -> None:
    process, found = asleep(), list[int]()

    async def wait() -> None:
        found.append(await process.wait())

    with anyio.fail_after(PATIENCE_SECONDS):
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as cancelled:
                    cancelled.start_soon(process.wait)
                    await anyio.wait_all_tasks_blocked()
                    for _ in range(2):
                        group.start_soon(wait)
                    scope.cancel()
            assert process.returncode is None
            process.send_signal(signal.SIGKILL)
    assert found == [-signal.SIGKILL] * 2


async def test_a_process_that_has_exited_gets_no_signal_that_its_number_might_deliver_to_another() -> None:
    process = started("")
    with anyio.fail_after(PATIENCE_SECONDS):
        await process.wait()
    with pytest.raises(ProcessLookupError):
        process.send_signal(signal.SIGKILL)


async def test_a_process_that_another_has_waited_for_counts_as_exited() -> None:
    process = started("")
    await anyio.to_thread.run_sync(os.waitpid, process.pid, 0)
    with anyio.fail_after(PATIENCE_SECONDS):
        assert await process.wait() == 255


async def test_no_descriptor_is_left_of_a_process_that_was_waited_for() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with anyio.fail_after(PATIENCE_SECONDS):
        for _ in range(3):
            await started("").wait()
    assert len(os.listdir("/proc/self/fd")) == before
