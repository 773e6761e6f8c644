from collections.abc import Mapping

import anyio
import pytest

from cqox.analysis.workers.limits import ProcessLimits
from cqox.analysis.workers.pool import WorkerPool
from cqox.analysis.workers.reply import Reply
from cqox.analysis.workers.worker import Progress, Serve, Worker

pytestmark = pytest.mark.anyio


class InProcess:
    """A worker without a process."""

    def __init__(self, number: int) -> None:
        self.confined: tuple[str, ...] = ()
        self.pid = number
        self.abandoned = False
        self._killed = anyio.Event()

    @property
    def alive(self) -> bool:
        return not self._killed.is_set()

    async def run(
        self,
        name: str,
        arguments: Mapping[str, object],
        progress: Progress | None = None,
        serve: Serve | None = None,
    ) -> Reply:
        if name == "die":
            self.kill()
        return Reply(body={"name": name, **arguments}, payload=b"")

    async def settle(self, seconds: float) -> None:
        raise AssertionError("nothing is abandoned")

    def cpu_seconds(self) -> float:
        return 0.0

    def memory_bytes(self) -> int:
        return 0

    def kill(self) -> None:
        self._killed.set()

    async def ended(self) -> None:
        await self._killed.wait()


async def test_a_pool_runs_its_tasks_on_workers_of_another_kind_and_replaces_those_that_end() -> None:
    started = []

    async def start(*, work: str, limits: ProcessLimits, threads: int) -> Worker:
        started.append((work, threads))
        return InProcess(len(started))

    async with WorkerPool.open(work="the tasks", size=1, spares=0, threads=2, start=start) as pool:
        assert (await pool.run("add", {"a": 1})).body == {"name": "add", "a": 1}
        await pool.run("die", {})
        assert (await pool.run("again", {})).body == {"name": "again"}
        assert pool.restarts == 1
    assert started == [("the tasks", 2)] * 2
