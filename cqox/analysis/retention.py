"""Retention of one tenant: deletion on request, and by age as configured.

By default nothing expires. Deleted reports are removed from the store, from every cache, and from the disk of figures.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched

import anyio

from cqox import clock
from cqox.analysis.bounds import RetentionPeriods
from cqox.analysis.datasets import Datasets
from cqox.analysis.history import no_analysis
from cqox.analysis.results import Results
from cqox.contract import counted
from cqox.errors import NotFound, StorageFull, StoreUnavailable
from cqox.storage import DataDirectory, ResultStore, TenantFiles, TenantRetention

__all__ = ["Expired", "Retention", "unrecorded"]

_MOST_JOBS = 100_000
"""Maximum number of ended jobs that stay readable, the latest ones."""

_BATCH = 100
_PAUSE_SECONDS = 0.02
# A figure rendered just now may belong to a report that is about to be stored.
_GRACE_SECONDS = 300.0
_BEGUN_SECONDS = 60.0
_logger = logging.getLogger("cqox.analysis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """A batch of what was deleted for its age.

    Attributes:
        kind: analysis, dataset, job, share or upload.
        count: how many.
        ids: their ids; empty where they are counted only.
    """

    kind: str
    count: int
    ids: Sequence[str] = ()


async def unrecorded(tenant_id: str, expired: Expired) -> None:
    """Record nothing, where there is no audit log."""


class Retention:
    """Deletion of reports, data sets and jobs.

    Args:
        store: reports, the data set registry and jobs.
        results: reports in store and caches.
        files: tables and rendered figures.
        datasets: the data sets.
        keep: the longest retention periods.
        own: returns the tenant's own ones, which may be shorter; None where it can have none.
        directory: the data directory, whose leftovers of all tenants are removed as well; None where the retention of
            another tenant does that.
    """

    def __init__(
        self,
        *,
        store: ResultStore,
        results: Results,
        files: TenantFiles,
        datasets: Datasets,
        keep: RetentionPeriods,
        own: Callable[[], Awaitable[TenantRetention]] | None = None,
        directory: DataDirectory | None = None,
    ) -> None:
        self._directory = directory
        self._store = store
        self._results = results
        self._files = files
        self._datasets = datasets
        self._longest = self._keep = keep
        self._own = own
        self._listeners: list[Callable[[str], None]] = []
        self._expiry_listeners: list[Callable[[Expired], Awaitable[None]]] = []

    def on_erased(self, listener: Callable[[str], None]) -> None:
        """Call the listener with each data set whose jobs and reports are erased, by this engine or another one."""
        self._listeners.append(listener)

    def on_expired(self, listener: Callable[[Expired], Awaitable[None]]) -> None:
        """Await the listener after each batch that was deleted for its age; it records the batch and never raises."""
        self._expiry_listeners.append(listener)

    async def delete_report(self, key: str) -> None:
        """Delete a report with its annotation, its share links and its figures, from the store and from every cache.

        A computation in progress continues, and its report is stored.

        Raises:
            NotFound: there is no such report.
            StoreUnavailable: a store or a cache cannot be reached; the report may still exist.
        """
        if not await self.erase_reports([key]):
            raise no_analysis(key)

    async def delete_dataset(self, dataset_id: str, *, reports: bool) -> None:
        """Delete a data set, and with `reports` also its reports, their figures and its ended jobs.

        Raises:
            NotFound: neither the data set nor anything that belongs to it exists.
            InvalidRequest: it is built in.
            StoreUnavailable: a store or a cache cannot be reached; repeating the call deletes the rest.
        """
        if not reports:
            await self._datasets.delete(dataset_id)
            return
        missing: NotFound | None = None
        try:
            record = await self._datasets.get_deletable(dataset_id)
        except NotFound as error:
            missing = error
        else:
            # First, so that another engine completes the erasure if this one crashes from here on.
            await self._files.begin_erasure(record.dataset_id)
            with suppress(NotFound):
                await self._datasets.delete(dataset_id)
        count = await self.erase_reports_of(dataset_id)
        if missing is not None and not count:
            raise missing

    async def check_erasable(self, dataset_id: str) -> None:
        """Check that a data set, or anything that was made from it, is there to be erased.

        Raises:
            NotFound: it is not.
            InvalidRequest: the data set is built in.
            StoreUnavailable: the store cannot be reached.
        """
        try:
            await self._datasets.get_deletable(dataset_id)
        except NotFound:
            reports = (await self._store.reports(dataset_id=dataset_id, limit=1)).items
            if not reports and not (await self._store.jobs(dataset_id=dataset_id, limit=1)).items:
                raise

    async def settle_erasures(self) -> None:
        """Delete reports of data sets that were erased during their analysis, once; never raises."""
        try:
            erased = await self._files.erased()
        except StoreUnavailable:
            return
        for dataset_id, age in erased.items():
            try:
                if await self._store.dataset(dataset_id) is None:
                    await self.erase_reports_of(dataset_id)
                elif age > _BEGUN_SECONDS:
                    # Deletion failed, or the data set was uploaded again on another disk.
                    await self._files.end_erasure(dataset_id)
            except StoreUnavailable:
                return

    async def expire(self) -> None:
        """Delete data older than the retention periods, and leftovers on the disk; never raises.

        If a store is unreachable the rest is left to the next run.
        """
        if not await self._find_periods():
            return
        counts: dict[str, int] = {}
        trouble: StoreUnavailable | OSError | None = None
        steps = [
            ("job", self._expire_jobs),
            ("report", self._expire_reports),
            ("data set", self._expire_datasets),
            ("share link", self._expire_shares),
            ("orphaned drawing", self._expire_figures),
            ("partial upload", self._expire_uploads),
        ]
        if self._directory is not None:
            steps += [("original", self._directory.enforce_originals), ("leftover", self._directory.sweep)]
        for what, step in steps:
            try:
                counts[what] = await step()
            except (StoreUnavailable, OSError) as error:
                trouble = error
        if any(counts.values()):
            deleted = ", ".join(counted(count, what) for what, count in counts.items() if count)
            _logger.info("Deleted expired data: %s.", deleted)
        if trouble is not None:
            _logger.warning("Expired data could not all be deleted, which is retried: %s", trouble)

    async def _find_periods(self) -> bool:
        """Find out the tenant's own periods; return False where they are unknown."""
        if self._own is None:
            return True
        try:
            self._keep = self._longest.shortened(await self._own())
        except StoreUnavailable as error:
            _logger.warning("Expired data are deleted later, as the retention periods are unknown: %s", error)
            return False
        return True

    async def _expire_jobs(self) -> int:
        now = clock.now()
        before = _days_before(now, self._keep.jobs) if self._keep.jobs else ""
        count = await self._store.retire_jobs(ended_before=before, most=_MOST_JOBS, now=_stamp(now))
        return await self._noted("job", count)

    async def _expire_shares(self) -> int:
        return await self._noted("share", await self._store.expire_shares(before=_stamp(clock.now())))

    async def _expire_reports(self) -> int:
        if not self._keep.reports:
            return 0
        before, count = _days_before(clock.now(), self._keep.reports), 0
        while keys := await self._store.expired_reports(before=before, limit=_BATCH):
            gone = await self.erase_reports(keys)
            count += await self._noted("analysis", len(gone), sorted(gone))
            await anyio.sleep(_PAUSE_SECONDS)
        return count

    async def _expire_datasets(self) -> int:
        if not self._keep.datasets:
            return 0
        before, count = _days_before(clock.now(), self._keep.datasets), 0
        for record in await self._store.datasets():
            if record.sample or record.created_at >= before or await self._is_in_use(record.dataset_id, before):
                continue
            with suppress(NotFound):
                await self._datasets.delete(record.dataset_id)
                count += await self._noted("dataset", 1, [record.dataset_id])
            await anyio.sleep(_PAUSE_SECONDS)
        return count

    async def _is_in_use(self, dataset_id: str, before: str) -> bool:
        # Without files on this disk, another engine may have them, and knows when they were used.
        used_at = await self._files.used_at(dataset_id)
        if not used_at or _stamp(datetime.fromtimestamp(used_at, UTC)) >= before:
            return True
        newest = await self._store.reports(dataset_id=dataset_id, limit=1)
        if newest.items and newest.items[0].created_at >= before:
            return True
        return bool((await self._store.jobs(dataset_id=dataset_id, status="running", limit=1)).items)

    async def _expire_figures(self) -> int:
        drawn, count = await self._files.drawn(), 0
        for batch in batched(drawn.items(), _BATCH, strict=False):
            old = [key for key, at in batch if clock.wall_time() - at > _GRACE_SECONDS]
            for key in set(old) - await self._store.stored(old) if old else ():
                await self._files.erase(key)
                count += 1
            await anyio.sleep(_PAUSE_SECONDS)
        return count

    async def _expire_uploads(self) -> int:
        return await self._noted("upload", await self._files.threaded(self._files.partial.expire))

    async def _noted(self, kind: str, count: int, ids: Sequence[str] = ()) -> int:
        """Have the listeners record a batch; return its size."""
        if count:
            for listener in self._expiry_listeners:
                await listener(Expired(kind=kind, count=count, ids=ids))
        return count

    async def erase_reports_of(self, dataset_id: str) -> int:
        """Delete the ended jobs on a data set, and its reports with all that belongs to them; return their number.

        Raises:
            StoreUnavailable: a store or a cache cannot be reached; repeating the call deletes the rest.
        """
        count = await self._store.delete_jobs_of(dataset_id)
        for listener in self._listeners:
            listener(dataset_id)
        while items := (await self._store.reports(dataset_id=dataset_id, limit=_BATCH)).items:
            count += len(await self.erase_reports([report.analysis_id for report in items]))
        await self._store.forget_history(dataset_id)
        return count

    async def erase_reports(self, keys: Sequence[str]) -> frozenset[str]:
        """Delete reports with annotations, links and figures, from store, caches and disk; return those that existed.

        Raises:
            StoreUnavailable: a store or a cache cannot be reached; repeating the call deletes the rest.
        """
        try:
            gone = await self._results.erase(keys)
        except StorageFull:
            # On a full disk a deletion from SQLite needs some space first: figures can be rendered again.
            for key in keys:
                await self._files.erase(key)
            gone = await self._results.erase(keys)
        for key in gone:
            await self._files.erase(key)
        return gone


def _days_before(now: datetime, days: float) -> str:
    return _stamp(now - timedelta(days=days))


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")
