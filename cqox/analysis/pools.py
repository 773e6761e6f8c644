"""The pool of worker processes of an engine, or of a single caller."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from cqox.analysis.bounds import Bounds
from cqox.analysis.workers.forking import Forking, can_fork
from cqox.analysis.workers.pool import WorkerPool
from cqox.analysis.workers.worker import StartWorker

__all__ = ["open_pool"]

_WORK, _LOCAL_WORK = "cqox.analysis.work", "cqox.analysis.local_work"
# Workers for uploads and figures, in addition to those for analyses.
_LIGHT_PLACES = 1


@asynccontextmanager
async def open_pool(bounds: Bounds, *, start: StartWorker | None = None) -> AsyncIterator[WorkerPool]:
    """Open a pool whose processes start in the background.

    Workers of an engine are forked from one template, where the system can do that; a single caller has one worker.

    Args:
        bounds: resource limits.
        start: starts a worker; a process by default.
    """
    work = _WORK if bounds.standby else _LOCAL_WORK
    forks = start is None and bounds.standby and can_fork()
    async with Forking.open(work=work, threads=bounds.threads) if forks else nullcontext() as forking:
        async with WorkerPool.open(
            work=work,
            size=bounds.analyses + (_LIGHT_PLACES if bounds.standby else 0),
            spares=int(bounds.standby),
            limits=bounds.of_a_worker(),
            threads=bounds.threads,
            start=start if forking is None else forking.start,
        ) as pool:
            yield pool
