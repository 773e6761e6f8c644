"""What an engine does beside its answers: it says that it lives, and settles the jobs of engines that do not."""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import anyio

from cqox import telemetry
from cqox.analysis.log_throttle import Outage
from cqox.errors import StoreUnavailable
from cqox.storage import FileStore, ResultStore

__all__ = ["JOB_LEASE_SECONDS", "tend", "tend_once"]

JOB_LEASE_SECONDS = 30.0
"""How long a job counts as running without a sign of life from its engine, where nobody sees the engine end."""

_EVERY_SECONDS = 5.0
_UNTENDED = "The jobs could not be tended"
_EXPIRE_EVERY_SECONDS = 3600.0
_logger = logging.getLogger("cqox.analysis")


async def tend(
    store: ResultStore, files: FileStore, *chores: Callable[[], Awaitable[None]], expire: Callable[[], Awaitable[None]]
) -> None:
    """Renew this engine's jobs, settle those of engines that are gone and delete what is old, while the task runs.

    Args:
        store: where jobs are.
        files: who lives on the volume.
        chores: what else is tried again and again; none raises anything.
        expire: deletes what is old, at the start and once an hour; it raises nothing.
    """
    untended = Outage(_UNTENDED)
    expired_at = -_EXPIRE_EVERY_SECONDS
    while True:
        with telemetry.fresh_span("tend the jobs once"):
            await tend_once(store, files, untended)
            for chore in chores:
                await chore()
            if anyio.current_time() - expired_at >= _EXPIRE_EVERY_SECONDS:
                expired_at = anyio.current_time()
                await expire()
        await anyio.sleep(_EVERY_SECONDS)


async def tend_once(store: ResultStore, files: FileStore, untended: Outage | None = None) -> None:
    """The same, once. Where the store or the volume fails, what is left is done the next time.

    Args:
        store: where jobs are.
        files: who lives on the volume.
        untended: is told of failures; a new one, which tells the log of each, if absent.
    """
    untended = untended or Outage(_UNTENDED)
    try:
        # A short call, so that others learn soon of a store that stands still.
        await store.ping()
        await store.renew_jobs(files.owner, seconds=JOB_LEASE_SECONDS)
        # One at a time, and told of by who buries: the start and the task that tends may both meet a departed one.
        async with files.reclaiming:
            for owner in files.dead_owners():
                now = datetime.now(UTC).isoformat(timespec="microseconds")
                count = await store.interrupt_jobs(owner, finished_at=now)
                if await files.reclaim(owner):
                    _logger.warning(
                        "The engine %s ended without a farewell; %d of its jobs are interrupted.", owner, count
                    )
    except (StoreUnavailable, OSError) as error:
        untended.failed("The jobs could not be tended: %s", error)
    else:
        untended.over()
