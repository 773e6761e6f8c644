"""Erasures that one tenant has requested: each is recorded, carried out to its end by any engine, and has a receipt.

A record is stored before anything is deleted. Whichever engine holds its lease brings it to an end, after a crash too;
engines with disks of their own remove their files once they see the record.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Literal

import anyio

from cqox import clock, randomness
from cqox.analysis.erasure_progress import ErasedReport, Progress
from cqox.analysis.idempotency import IdempotencyKeys
from cqox.analysis.retention import Retention
from cqox.contract.messages import Message
from cqox.errors import NotFound, StoreUnavailable
from cqox.storage import ErasureRecord, ResultStore, StoredReport, TenantFiles
from cqox.tasks import TaskGroup, open_task_group

__all__ = ["EraseTenant", "Erasures", "Save"]

type Save = Callable[[], Awaitable[None]]
"""Stores how far an erasure has come; called before the next deletion."""

type EraseTenant = Callable[[str, Progress, Save], Awaitable[None]]
"""Erases everything of a tenant, and notes it in the progress."""

_BATCH = 100
_LEASE_SECONDS = 10.0
_RENEW_SECONDS = 3.0
_LATE = timedelta(days=1)
_ENDING_SECONDS = 10.0
_LOOK_SECONDS = 0.1
_logger = logging.getLogger("cqox.analysis")


class Erasures:
    """Erasures of the data sets of one tenant, and of tenants that it has requested.

    Args:
        store: the records of erasures, and what is erased.
        files: files of this engine's disk.
        retention: deletes reports, and data sets with their marker.
        keys: idempotency keys in use.
        group: tasks that outlive requests.
        erase_tenant: erases a tenant.
        scrub: overwrites what deletions have left in the files of the store.
        finished: is called with each erasure that this engine has finished.
        stop: cancels the running jobs on a data set in this engine.
    """

    def __init__(
        self,
        *,
        store: ResultStore,
        files: TenantFiles,
        retention: Retention,
        keys: IdempotencyKeys,
        group: TaskGroup,
        erase_tenant: EraseTenant,
        scrub: Callable[[], Awaitable[None]],
        finished: Callable[[ErasureRecord], None] = lambda _: None,
        stop: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._files = files
        self._retention = retention
        self._keys = keys
        self._group = group
        self._erase_tenant = erase_tenant
        self._scrub = scrub
        self._finished = finished
        self._stop = stop
        self._token = f"{files.owner}-{randomness.token_hex(4)}"
        self._running = set[str]()
        self._swept = set[str]()

    async def request_dataset(
        self, dataset_id: str, *, requested_by: str, erasure_id: str | None = None
    ) -> ErasureRecord:
        """Record the erasure of a data set with everything that was made from it, and begin it.

        Args:
            dataset_id: the data set.
            requested_by: the subject that asks for it.
            erasure_id: the id that it gets; a known one is returned as it is.

        Raises:
            NotFound: neither the data set nor anything that belongs to it exists.
            InvalidRequest: it is built in.
            StoreUnavailable: the store cannot be reached; nothing is erased.
        """
        known = None if erasure_id is None else await self._store.erasure(erasure_id)
        if known is not None:
            return known
        await self._retention.check_erasable(dataset_id)
        return await self._begun("dataset", dataset_id, requested_by, erasure_id)

    async def request_tenant(
        self, tenant_id: str, *, requested_by: str, erasure_id: str | None = None
    ) -> ErasureRecord:
        """Record the erasure of everything of a tenant, and begin it; arguments as for a data set.

        Raises:
            StoreUnavailable: the store cannot be reached; nothing is erased.
        """
        known = None if erasure_id is None else await self._store.erasure(erasure_id)
        return known or await self._begun("tenant", tenant_id, requested_by, erasure_id)

    async def find(self, erasure_id: str) -> ErasureRecord:
        """Return the erasure with this id.

        Raises:
            NotFound: there is none.
            StoreUnavailable: the store cannot be reached.
        """
        record = await self._store.erasure(erasure_id)
        if record is None:
            raise NotFound(Message("analysis.no-erasure", erasure=erasure_id[:100]), field="erasure_id")
        return record

    async def resume(self) -> None:
        """Go on with what is unfinished, and remove the files of this disk of what ended lately; never raises."""
        since = (clock.now() - _LATE).isoformat(timespec="microseconds")
        try:
            for record in await self._store.open_erasures(since=since):
                if record.finished_at is None:
                    await self._run(record)
                elif record.erasure_id not in self._swept:
                    await self._erase_late(record)
                    self._swept.add(record.erasure_id)
        except (StoreUnavailable, OSError) as error:
            _logger.warning("Erasures wait for the store or the disk: %s", error)

    async def _erase_late(self, record: ErasureRecord) -> None:
        """Erase once more what an engine with a disk of its own has, and what a request in flight has left."""
        progress = Progress.read(record.receipt)
        if record.what == "tenant":
            await self._erase_tenant(record.object_id, progress, _saved)
        else:
            await self._sweep(record.object_id, progress)

    async def erase_dataset(self, dataset_id: str, progress: Progress, save: Save) -> None:
        """Delete a data set with everything that was made from it.

        Args:
            dataset_id: the data set, which may be gone already.
            progress: records what is deleted, before it is.
            save: stores the progress.

        Raises:
            StoreUnavailable: a store, a cache or the disk cannot be reached. Repeating the call deletes the rest.
        """
        record = await self._store.dataset(dataset_id)
        if record is not None:
            progress.datasets[dataset_id] = record.digest
        for name, digest in (await self._files.digests(dataset_id)).items():
            progress.files[f"{dataset_id}/{name}"] = digest
        await self.note_reports(progress, dataset_id=dataset_id)
        await save()
        # From here on every report of it is deleted by this engine or another one, which notes nothing.
        await self._files.begin_erasure(dataset_id)
        await self._end_jobs(dataset_id, progress, save)
        with suppress(NotFound):
            await self._retention.delete_dataset(dataset_id, reports=False)
        await self.erase_reports(progress, save, dataset_id=dataset_id)
        # What has no report any more: annotations of a report that was deleted meanwhile.
        await self._retention.erase_reports_of(dataset_id)
        await self._sweep(dataset_id, progress)

    async def erase_reports(self, progress: Progress, save: Save, *, dataset_id: str | None = None) -> None:
        """Delete reports with their annotations, share links and figures, from every cache as well.

        Args:
            progress: records what is deleted, before it is.
            save: stores the progress.
            dataset_id: only those of this data set; None for all of the tenant.

        Raises:
            StoreUnavailable: a store or a cache cannot be reached. Repeating the call deletes the rest.
        """
        while items := (await self._store.reports(dataset_id=dataset_id, limit=_BATCH)).items:
            for each in items:
                await self._note_report(each, progress)
            await save()
            await self._retention.erase_reports([each.analysis_id for each in items])

    async def note_reports(self, progress: Progress, *, dataset_id: str | None = None) -> None:
        """Record all reports, or those of a data set, in the progress."""
        before = None
        while True:
            page = await self._store.reports(dataset_id=dataset_id, limit=_BATCH, before=before)
            for each in page.items:
                await self._note_report(each, progress)
            before = page.next
            if before is None:
                return

    async def _note_report(self, report: StoredReport, progress: Progress) -> None:
        analysis_id = report.analysis_id
        if analysis_id not in progress.reports:
            progress.reports[analysis_id] = ErasedReport(
                digest=report.digest,
                figures=await self._files.count_figures(analysis_id),
                annotations=int(await self._store.annotation(analysis_id) is not None),
                shares=len(await self._store.shares(analysis_id)),
            )

    async def note_jobs(self, progress: Progress, *, dataset_id: str | None = None) -> None:
        """Record the ids of all jobs, or of those on a data set, in the progress."""
        before = None
        while True:
            page = await self._store.jobs(dataset_id=dataset_id, limit=_BATCH, before=before)
            progress.jobs.update(job.job_id for job in page.items)
            before = page.next
            if before is None:
                return

    async def uploads(self) -> Sequence[str]:
        """Return the ids of the uploads in pieces on this disk."""
        return await self._files.threaded(self._files.partial.ids)

    async def _sweep(self, dataset_id: str, progress: Progress) -> None:
        """Remove what this engine's disk and memory have of a data set that is erased."""
        await self._files.begin_erasure(dataset_id)
        await self._files.delete(dataset_id)
        for analysis_id in progress.reports:
            await self._files.erase(analysis_id)
        digests = {digest for name, digest in progress.files.items() if name.startswith(f"{dataset_id}/")}
        progress.uploads.update(await self._files.threaded(self._files.partial.remove_of, dataset_id, digests))
        progress.keys.update(await self._keys.forget_of(dataset_id))

    async def _end_jobs(self, dataset_id: str, progress: Progress, save: Save) -> None:
        self._stop(dataset_id)
        with anyio.move_on_after(_ENDING_SECONDS):
            # Those of other engines go on for a while; their reports are deleted when they appear.
            while (await self._store.jobs(dataset_id=dataset_id, status="running", limit=1)).items:
                await anyio.sleep(_LOOK_SECONDS)
                self._stop(dataset_id)
        await self.note_jobs(progress, dataset_id=dataset_id)
        await save()

    async def _begun(
        self, what: Literal["dataset", "tenant"], object_id: str, requested_by: str, erasure_id: str | None
    ) -> ErasureRecord:
        record = ErasureRecord(
            erasure_id=erasure_id or randomness.token_hex(16),
            what=what,
            object_id=object_id,
            requested_by=requested_by,
            requested_at=_now(),
            finished_at=None,
            receipt=Progress().written(),
        )
        await self._store.put_erasure(record)
        self._group.start_soon(self._run_now, record, name="erase")
        return record

    async def _run_now(self, record: ErasureRecord) -> None:
        try:
            await self._run(record)
        except (StoreUnavailable, OSError) as error:
            _logger.warning("The erasure %s is not finished, and is resumed: %s", record.erasure_id, error)

    async def _run(self, record: ErasureRecord) -> None:
        if record.erasure_id in self._running:
            return
        name = f"erasure-{record.erasure_id}"
        claim = partial(self._store.claim_turn, name, token=self._token, seconds=_LEASE_SECONDS)
        self._running.add(record.erasure_id)
        try:
            if await claim():
                await self._run_with_lease(record.erasure_id, claim)
        finally:
            self._running.discard(record.erasure_id)
            with anyio.CancelScope(shield=True), suppress(StoreUnavailable):
                await self._store.release_turn(name, token=self._token)

    async def _run_with_lease(self, erasure_id: str, claim: Callable[[], Awaitable[bool]]) -> None:
        failures = list[StoreUnavailable | OSError]()

        async def renew() -> None:
            while True:
                await anyio.sleep(_RENEW_SECONDS)
                with suppress(StoreUnavailable):
                    await claim()

        async with open_task_group("erasure lease") as group:
            group.start_soon(renew, name="renew the erasure lease")
            try:
                # Another engine may have ended it before the lease was free.
                current = await self._store.erasure(erasure_id)
                if current is not None and current.finished_at is None:
                    await self._erase(current)
            except (StoreUnavailable, OSError) as error:
                # Raised below, out of the group, as it is.
                failures.append(error)
            group.cancel_scope.cancel()
        if failures:
            raise failures[0]

    async def _erase(self, record: ErasureRecord) -> None:
        progress = Progress.read(record.receipt)

        async def save() -> None:
            await self._store.put_erasure(replace(record, receipt=progress.written()))

        if record.what == "tenant":
            await self._erase_tenant(record.object_id, progress, save)
        else:
            await self.erase_dataset(record.object_id, progress, save)
        await save()
        # Before it counts as finished, so that the receipt says what is true of the files.
        await self._scrub()
        ended = replace(record, receipt=progress.written(), finished_at=_now())
        await self._store.put_erasure(ended)
        self._finished(ended)
        if record.what == "dataset":
            self._swept.add(record.erasure_id)
        _logger.info("The erasure %s of a %s is finished.", record.erasure_id, record.what)


async def _saved() -> None:
    """Do nothing: the receipt of a finished erasure does not change."""


def _now() -> str:
    return clock.timestamp()
