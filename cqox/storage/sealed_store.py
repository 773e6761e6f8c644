"""A result store whose contents are sealed: names, texts and reports are encrypted, ids, times and numbers are not.

What stays readable in the database is what listings and retention select by: ids (digests), times, verdicts, names of
estimators, estimates and the status of jobs. A search therefore opens all annotations of the tenant.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from logging import getLogger

from anyio import CapacityLimiter

from cqox.contract.messages import Message
from cqox.encryption import SealBroken
from cqox.errors import StoreUnavailable
from cqox.security import AuditEntry, AuditEvent
from cqox.storage.audit import AuditFilter
from cqox.storage.contracts import DatasetRecord, JobRecord, JobStatus, Record, ResultStore, StoredReport
from cqox.storage.erasures import ErasureRecord
from cqox.storage.facts import ReportFacts
from cqox.storage.history import Annotation, Looks, ReportSummary
from cqox.storage.pages import Page
from cqox.storage.rows import NOTES_CHARACTERS
from cqox.storage.sealed_facts import SealedFacts
from cqox.storage.sealed_records import SealedRecords, has_sealed, name_of, queryable
from cqox.storage.sealing import TenantSealing, is_marked
from cqox.storage.shares import Share
from cqox.threads import run_in_thread

__all__ = ["SealedStore"]

_THREADS = 4
_PAGE = 200
_logger = getLogger("cqox.storage")


class SealedStore(SealedFacts):
    """The result store of one tenant with encryption at rest; see `ResultStore` for its methods.

    Args:
        store: the store of this tenant.
        sealing: encryption at rest for it. Where it is off, sealed rows are refused and new ones are plain.
        prepare: called before the first sealed row is written, so that releases which cannot open it refuse the store.
    """

    def __init__(
        self, store: ResultStore, sealing: TenantSealing, *, prepare: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        self._store = store
        self._prepare = prepare
        self._is_on = sealing.is_on
        self._records = SealedRecords(sealing)
        self._limiter = CapacityLimiter(_THREADS)

    async def save(
        self, report: StoredReport, *, document: bytes | None = None, facts: ReportFacts | None = None
    ) -> bool:
        """See `ResultStore`; where it seals, the document holds the numbers of the estimates alone."""
        facts = facts or await self.facts_about(report)
        if self._is_on:
            document = await self._threaded(lambda: queryable(report.report))
        return await self._store.save(await self._sealed(report), document=document, facts=facts)

    async def reseal(self, old: Record, new: Record, *, document: bytes | None = None) -> bool:
        """See `ResultStore`; both rows are those of the store below."""
        return await self._store.reseal(old, new, document=document)

    async def renew(self, row: Record) -> bool:
        """Seal a row of the store below again unless it is as it would be written now; return whether that was done.

        Raises:
            StoreUnavailable: the store or the key ring is away, or the row cannot be opened.
        """
        if await self._threaded(lambda: self._records.is_current(row)):
            return False
        plain = await self._opened(row)
        new, document = await self._sealed(plain), None
        if isinstance(plain, StoredReport):
            document = queryable(plain.report) if self._is_on else plain.report
        return await self._store.reseal(row, new, document=document)

    async def load(self, analysis_id: str) -> StoredReport | None:
        """See `ResultStore`."""
        found = await self._store.load(analysis_id)
        return None if found is None else await self._opened(found)

    async def reports(
        self, *, dataset_id: str | None = None, limit: int = 50, before: str | None = None
    ) -> Page[StoredReport]:
        """See `ResultStore`."""
        page = await self._store.reports(dataset_id=dataset_id, limit=limit, before=before)
        return Page(items=await self._opened_all(page.items), next=page.next)

    async def stored(self, analysis_ids: Sequence[str]) -> frozenset[str]:
        """See `ResultStore`."""
        return await self._store.stored(analysis_ids)

    async def delete_reports(self, analysis_ids: Sequence[str]) -> Sequence[str]:
        """See `ResultStore`."""
        return await self._store.delete_reports(analysis_ids)

    async def expired_reports(self, *, before: str, limit: int) -> Sequence[str]:
        """See `ResultStore`."""
        return await self._store.expired_reports(before=before, limit=limit)

    async def register(self, record: DatasetRecord) -> DatasetRecord:
        """See `ResultStore`."""
        return await self._opened(await self._store.register(await self._sealed(record)))

    async def dataset(self, dataset_id: str) -> DatasetRecord | None:
        """See `ResultStore`."""
        found = await self._store.dataset(dataset_id)
        return None if found is None else await self._opened(found)

    async def datasets(self) -> Sequence[DatasetRecord]:
        """See `ResultStore`."""
        return await self._opened_all(await self._store.datasets())

    async def rename(self, dataset_id: str, name: str) -> DatasetRecord | None:
        """See `ResultStore`."""
        await self._prepared()
        stored = await self._threaded(lambda: self._records.sealed_name(dataset_id, name))
        found = await self._store.rename(dataset_id, stored)
        return None if found is None else await self._opened(found)

    async def forget(self, dataset_id: str) -> bool:
        """See `ResultStore`."""
        return await self._store.forget(dataset_id)

    async def put_job(self, job: JobRecord, *, owner: str, seconds: float) -> None:
        """See `ResultStore`."""
        if job.problem is not None:
            job = await self._sealed(job)
        await self._store.put_job(job, owner=owner, seconds=seconds)

    async def interrupt_job(self, job_id: str, owner: str, *, finished_at: str) -> bool:
        """See `ResultStore`."""
        return await self._store.interrupt_job(job_id, owner, finished_at=finished_at)

    async def retire_jobs(self, *, ended_before: str, most: int, now: str) -> int:
        """See `ResultStore`."""
        return await self._store.retire_jobs(ended_before=ended_before, most=most, now=now)

    async def job(self, job_id: str) -> JobRecord | None:
        """See `ResultStore`."""
        found = await self._store.job(job_id)
        return None if found is None else await self._opened(found)

    async def claim_turn(self, key: str, *, token: str, seconds: float) -> bool:
        """See `ResultStore`."""
        return await self._store.claim_turn(key, token=token, seconds=seconds)

    async def release_turn(self, key: str, *, token: str) -> None:
        """See `ResultStore`."""
        await self._store.release_turn(key, token=token)

    async def jobs(
        self,
        *,
        dataset_id: str | None = None,
        status: JobStatus | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> Page[JobRecord]:
        """See `ResultStore`."""
        page = await self._store.jobs(dataset_id=dataset_id, status=status, limit=limit, before=before)
        return Page(items=await self._opened_all(page.items), next=page.next)

    async def delete_job(self, job_id: str) -> bool:
        """See `ResultStore`."""
        return await self._store.delete_job(job_id)

    async def delete_jobs_of(self, dataset_id: str) -> int:
        """See `ResultStore`."""
        return await self._store.delete_jobs_of(dataset_id)

    async def annotation(self, analysis_id: str) -> Annotation | None:
        """See `HistoryStore`."""
        found = await self._store.annotation(analysis_id)
        return None if found is None else await self._opened(found)

    async def annotate(self, annotation: Annotation, *, replaces: str | None) -> bool:
        """See `HistoryStore`."""
        return await self._store.annotate(await self._sealed(annotation), replaces=replaces)

    async def forget_history(self, dataset_id: str) -> None:
        """See `HistoryStore`."""
        await self._store.forget_history(dataset_id)

    async def summaries(
        self,
        *,
        dataset_id: str | None = None,
        search: str | None = None,
        named: Sequence[str] = (),
        limit: int = 50,
        before: str | None = None,
    ) -> Page[ReportSummary]:
        """See `HistoryStore`."""
        if search is None or not self._is_on:
            page = await self._store.summaries(
                dataset_id=dataset_id, search=search, named=named, limit=limit, before=before
            )
            return Page(items=await self._opened_summaries(page.items), next=page.next)
        found = list[ReportSummary]()
        async with aclosing(self._all_summaries(dataset_id, before)) as summaries:
            async for summary in summaries:
                if summary.dataset_id in named or search in await self._searched(summary):
                    found.append(summary)
                if len(found) > limit:
                    break
        items = await self._opened_summaries(found[:limit])
        more = len(found) > limit and bool(items)
        return Page(items=items, next=f"{items[-1].created_at}|{items[-1].analysis_id}" if more else None)

    async def looks(self, dataset_id: str) -> Sequence[Looks]:
        """See `HistoryStore`."""
        counts, is_any_sealed = Counter[tuple[str | None, str | None]](), False
        for each in await self._store.looks(dataset_id):
            if is_marked(each.outcome) or is_marked(each.treatment):
                # Equal names are sealed differently, so that the database cannot count them.
                is_any_sealed = True
            else:
                counts[each.outcome, each.treatment] += each.analyses
        if is_any_sealed:
            async with aclosing(self._pages(dataset_id, None)) as pages:
                async for page in pages:
                    sealed = [each for each in page if is_marked(each.outcome) or is_marked(each.treatment)]
                    # Their notes would be asked for one by one.
                    opened = await self._opened_summaries([replace(each, notes=None) for each in sealed])
                    counts.update((each.outcome, each.treatment) for each in opened)
        return [
            Looks(outcome=outcome, treatment=treatment, analyses=count)
            for (outcome, treatment), count in counts.items()
        ]

    async def put_share(self, share: Share) -> bool:
        """See `ShareStore`."""
        return await self._store.put_share(share)

    async def shares(self, analysis_id: str) -> Sequence[Share]:
        """See `ShareStore`."""
        return await self._store.shares(analysis_id)

    async def share_of(self, digest: str) -> Share | None:
        """See `ShareStore`."""
        return await self._store.share_of(digest)

    async def delete_share(self, analysis_id: str, share_id: str) -> bool:
        """See `ShareStore`."""
        return await self._store.delete_share(analysis_id, share_id)

    async def expire_shares(self, *, before: str) -> int:
        """See `ShareStore`."""
        return await self._store.expire_shares(before=before)

    async def append_audit(self, events: Sequence[AuditEvent]) -> int:
        """See `AuditStore`; an event holds no data."""
        return await self._store.append_audit(events)

    async def audit(
        self,
        *,
        wanted: AuditFilter = AuditFilter(),  # noqa: B008 - frozen
        limit: int = 50,
        before: int | None = None,
    ) -> Page[AuditEntry]:
        """See `AuditStore`."""
        return await self._store.audit(wanted=wanted, limit=limit, before=before)

    async def audit_after(self, seq: int, *, limit: int) -> Sequence[AuditEntry]:
        """See `AuditStore`."""
        return await self._store.audit_after(seq, limit=limit)

    async def audit_head(self) -> AuditEntry | None:
        """See `AuditStore`."""
        return await self._store.audit_head()

    async def put_erasure(self, record: ErasureRecord) -> bool:
        """See `ErasureStore`; a receipt holds no data."""
        return await self._store.put_erasure(record)

    async def erasure(self, erasure_id: str) -> ErasureRecord | None:
        """See `ErasureStore`."""
        return await self._store.erasure(erasure_id)

    async def open_erasures(self, *, since: str) -> Sequence[ErasureRecord]:
        """See `ErasureStore`."""
        return await self._store.open_erasures(since=since)

    async def erase_everything(self) -> int:
        """See `ErasureStore`."""
        return await self._store.erase_everything()

    async def _all_summaries(self, dataset_id: str | None, before: str | None) -> AsyncGenerator[ReportSummary]:
        async with aclosing(self._pages(dataset_id, before)) as pages:
            async for page in pages:
                for summary in page:
                    yield summary

    async def _pages(self, dataset_id: str | None, before: str | None) -> AsyncGenerator[Sequence[ReportSummary]]:
        while True:
            page = await self._store.summaries(dataset_id=dataset_id, limit=_PAGE, before=before)
            yield page.items
            before = page.next
            if before is None:
                return

    async def _searched(self, summary: ReportSummary) -> str:
        if summary.title is None and summary.notes is None:
            return ""
        annotation = await self.annotation(summary.analysis_id)
        return "" if annotation is None else annotation.searched

    async def _opened_summaries(self, summaries: Sequence[ReportSummary]) -> list[ReportSummary]:
        whole = [await self._with_notes(each) for each in summaries]
        if not any(map(has_sealed, whole)):
            return whole
        # One thread for all: a page has hundreds of texts.
        return await self._guarded(lambda: [self._records.opened_summary(each) for each in whole], "page of analyses")

    async def _with_notes(self, summary: ReportSummary) -> ReportSummary:
        if not is_marked(summary.notes):
            return summary
        # Notes are cut in a listing, and nothing opens the beginning of something sealed.
        annotation = await self.annotation(summary.analysis_id)
        notes = None if annotation is None else annotation.notes
        return replace(summary, notes=None if notes is None else notes[: NOTES_CHARACTERS + 1])

    async def _sealed[Row: Record](self, record: Row) -> Row:
        if not self._is_on and not has_sealed(record):
            return record
        await self._prepared()
        return await self._threaded(lambda: self._records.sealed(record))

    async def _prepared(self) -> None:
        if self._is_on and self._prepare is not None:
            await self._prepare()
            self._prepare = None

    async def _opened[Row: Record](self, record: Row) -> Row:
        if not has_sealed(record):
            return record
        return await self._guarded(lambda: self._records.opened(record), name_of(record))

    async def _opened_all[Row: Record](self, records: Sequence[Row]) -> list[Row]:
        if not any(map(has_sealed, records)):
            return list(records)
        return await self._guarded(lambda: [self._records.opened(each) for each in records], "listing")

    async def _guarded[T](self, work: Callable[[], T], what: str) -> T:
        try:
            return await self._threaded(work)
        except SealBroken as error:
            _logger.error("The %s cannot be opened: %s.", what, error)
            raise StoreUnavailable(Message("encryption.seal-broken", what=what)) from error

    async def _threaded[T](self, work: Callable[[], T]) -> T:
        # A key ring may be asked, and a report may be large.
        return await run_in_thread(work, limiter=self._limiter)
