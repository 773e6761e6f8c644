"""Job leases: renew those of this engine, and mark the jobs of dead engines as interrupted."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio

from cqox import clock, telemetry
from cqox.analysis.log_throttle import Outage
from cqox.errors import StoreUnavailable
from cqox.storage import DataDirectory, ResultDatabase
from cqox.tasks import open_task_group

__all__ = ["JOB_LEASE_SECONDS", "maintain", "maintain_once"]

type Chore = Callable[[], Awaitable[None]]
"""Periodic work."""

JOB_LEASE_SECONDS = 30.0
"""Duration of a job lease: how long a job counts as running without a renewal by its engine."""

_EVERY_SECONDS = 5.0
_FAILED = "Maintaining the job leases failed"
_EXPIRE_EVERY_SECONDS = 3600.0
_logger = logging.getLogger("cqox.analysis")


async def maintain(
    store: ResultDatabase,
    directory: DataDirectory,
    *chores: Chore,
    of_files: Sequence[Chore] = (),
    expire: Chore,
) -> None:
    """Renew this engine's job leases, interrupt the jobs of dead engines and delete expired data, until cancelled.

    Args:
        store: the result store, which contains the jobs of all tenants.
        directory: the data directory, which knows the live engines on the volume.
        chores: further periodic work; must not raise.
        of_files: periodic work on the files of tenants; must not raise.
        expire: deletes expired data, at the start and every hour; must not raise.
    """
    outage = Outage(_FAILED)

    async def leases() -> None:
        await maintain_once(store, directory, outage)

    if not of_files or directory.volume is None:
        await _repeat(leases, *chores, *of_files, expire=expire)
        return
    # An object store that hangs must not keep the leases from being renewed.
    async with open_task_group("maintenance") as group:
        group.start_soon(partial(_repeat, leases, *chores), name="renew the job leases")
        group.start_soon(partial(_repeat, *of_files, expire=expire), name="maintain the files")


async def _repeat(*chores: Chore, expire: Chore | None = None) -> None:
    expired_at = -_EXPIRE_EVERY_SECONDS
    while True:
        with telemetry.untraced("maintain the job leases once"):
            for chore in chores:
                await chore()
            if expire is not None and anyio.current_time() - expired_at >= _EXPIRE_EVERY_SECONDS:
                expired_at = anyio.current_time()
                await expire()
        await anyio.sleep(_EVERY_SECONDS)


async def maintain_once(store: ResultDatabase, directory: DataDirectory, outage: Outage | None = None) -> None:
    """Maintain the job leases once. If the store or the volume fails, the rest is left to the next run.

    Args:
        store: the result store, which contains the jobs of all tenants.
        directory: the data directory, which knows the live engines on the volume.
        outage: receives failures; if None, a new one that logs each of them.
    """
    outage = outage or Outage(_FAILED)
    try:
        # A fast call, so that a frozen store is detected early.
        await store.ping()
        await store.renew_jobs(directory.owner, seconds=JOB_LEASE_SECONDS)
        # Serialised, and logged by the caller that reclaims: start-up and this task may find the same dead engine.
        async with directory.reclaiming:
            for owner in directory.dead_owners():
                now = clock.timestamp()
                count = await store.interrupt_jobs(owner, finished_at=now)
                if await directory.reclaim(owner):
                    _logger.warning(
                        "The engine %s exited without releasing its lease; %d of its jobs are interrupted.",
                        owner,
                        count,
                    )
    except (StoreUnavailable, OSError) as error:
        outage.failed("Maintaining the job leases failed: %s", error)
    else:
        outage.recovered()
