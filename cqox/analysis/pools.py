"""The pool of worker processes of an engine, or of a single caller."""

from contextlib import AbstractAsyncContextManager

from cqox.analysis.bounds import Bounds
from cqox.analysis.workers.pool import WorkerPool
from cqox.analysis.workers.worker import StartWorker

__all__ = ["open_pool"]

_WORK, _LOCAL_WORK = "cqox.analysis.work", "cqox.analysis.local_work"
# Workers for uploads and figures, in addition to those for analyses.
_LIGHT_PLACES = 1


def open_pool(bounds: Bounds, *, start: StartWorker | None = None) -> AbstractAsyncContextManager[WorkerPool]:
    """Open a pool whose processes start in the background.

    Args:
        bounds: resource limits.
        start: starts a worker; a process by default.
    """
    return WorkerPool.open(
        work=_WORK if bounds.standby else _LOCAL_WORK,
        size=bounds.analyses + (_LIGHT_PLACES if bounds.standby else 0),
        spares=int(bounds.standby),
        limits=bounds.of_a_worker(),
        threads=bounds.threads,
        start=start,
    )
