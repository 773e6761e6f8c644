"""What an engine does beside its answers: it says that it lives, and settles the jobs of engines that do not."""

import logging
from datetime import UTC, datetime

import anyio

from cqox.errors import StoreUnavailable
from cqox.storage import FileStore, ResultStore

__all__ = ["JOB_LEASE_SECONDS", "tend", "tend_once"]

JOB_LEASE_SECONDS = 30.0
"""How long a job counts as running without a sign of life from its engine, where nobody sees the engine end."""

_EVERY_SECONDS = 5.0
_logger = logging.getLogger("cqox.analysis")


async def tend(store: ResultStore, files: FileStore) -> None:
    """Renew this engine's jobs and settle those of engines that are gone, for as long as the task runs."""
    while True:
        await tend_once(store, files)
        await anyio.sleep(_EVERY_SECONDS)


async def tend_once(store: ResultStore, files: FileStore) -> None:
    """The same, once. Where the store is away it is left for the next time."""
    try:
        await store.renew_jobs(files.owner, seconds=JOB_LEASE_SECONDS)
        for owner in files.departed():
            now = datetime.now(UTC).isoformat(timespec="microseconds")
            count = await store.interrupt_jobs(owner, finished_at=now)
            await files.bury(owner)
            _logger.warning("The engine %s ended without a farewell; %d of its jobs are interrupted.", owner, count)
    except StoreUnavailable as error:
        _logger.warning("The jobs could not be tended: %s", error)
