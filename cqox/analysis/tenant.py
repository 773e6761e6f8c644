"""The services of one tenant in one engine: request → cache → store → worker → report.

Everything here is bound to the tenant: no id, name or time of another tenant's data can be asked for. What all tenants
share (workers, admission, group of tasks) is in `cqox.analysis.service`. Imports no numerics.
"""

import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from cqox.analysis.admission import Admission
from cqox.analysis.answer import Answer
from cqox.analysis.bounds import Bounds
from cqox.analysis.computation import Computation
from cqox.analysis.datasets import Datasets
from cqox.analysis.erasures import EraseTenant, Erasures
from cqox.analysis.history import History, no_analysis
from cqox.analysis.idempotency import IdempotencyKeys
from cqox.analysis.job_records import JobRecords
from cqox.analysis.key import analysis_id, canonical_json
from cqox.analysis.log_throttle import Outage
from cqox.analysis.metered_pool import MeteredPool
from cqox.analysis.missing_facts import MissingFacts
from cqox.analysis.original_files import OriginalFiles
from cqox.analysis.place_columns import PlaceColumnsReader
from cqox.analysis.place_tasks import PlaceTasks
from cqox.analysis.places import Places
from cqox.analysis.previews import Previews
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.rendering import Pictures
from cqox.analysis.results import LookedUp, Results
from cqox.analysis.retention import Retention
from cqox.analysis.reuse_counts import ReuseCounts
from cqox.analysis.shares import Shares
from cqox.analysis.single_flight import OnStep, SingleFlight
from cqox.analysis.uploads import Uploads
from cqox.analysis.workers import WorkerPool
from cqox.contract import EXPORT_TYPES, AnalyzeRequest
from cqox.contract.messages import LANGUAGES, Language, Message, translate_figure
from cqox.errors import NotFound, StoreUnavailable
from cqox.resilience.limits.keyed_budget import KeyedBudget
from cqox.storage import (
    DEFAULT_TENANT,
    DatasetRecord,
    ErasureRecord,
    JobRecord,
    JobStatus,
    MemoryCache,
    Page,
    ResultCache,
    ResultStore,
    StoredReport,
    TenantFiles,
    TenantRetention,
)
from cqox.tasks import TaskGroup

__all__ = ["Engine", "TenantAnalyses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Resources that all tenants of one engine share.

    Attributes:
        group: tasks that outlive requests.
        pool: the worker processes.
        admission: admission control of computations.
        cpu: CPU seconds of each tenant; None for no bound.
        bounds: resource limits.
        on_server: whether engines without a common disk may share the store.
        confirm: whether the store is asked if a cached report still exists.
        epoch: returns a number that changes once the registry has lost its content.
        maintain: marks the jobs of dead engines as interrupted, once.
        erase_tenant: erases everything of a tenant.
        scrub: overwrites what deletions have left in the files of the store.
        finished: is called with the tenant and its erasure that this engine has finished.
        stop: cancels the running jobs of a tenant on a data set in this engine.
        retention: returns how long a tenant keeps what it has.
    """

    group: TaskGroup
    pool: WorkerPool
    admission: Admission
    cpu: KeyedBudget | None
    bounds: Bounds
    on_server: bool
    confirm: bool
    epoch: Callable[[], int]
    maintain: Callable[[], Awaitable[None]]
    erase_tenant: EraseTenant
    scrub: Callable[[], Awaitable[None]]
    finished: Callable[[str, ErasureRecord], None]
    stop: Callable[[str, str], None]
    retention: Callable[[str], Awaitable[TenantRetention]]


class TenantAnalyses:
    """Services of one tenant, independent of the protocol; `Analyses.within` returns them.

    Args:
        tenant_id: the tenant.
        engine: what it shares with other tenants.
        store: its reports, registry of data sets and jobs.
        cache: its cached reports.
        unstored: its reports that no store has accepted so far.
        files: its files.
        samples: whether it creates built-in data sets.
        shared: the data sets of the tenant whose built-in ones it may read; None where it has its own.

    Attributes:
        tenant_id: the tenant.
        store: its reports, registry of data sets and jobs.
        pool: the worker processes.
        admission: admission control of computations.
        datasets: the available data sets.
        originals: the files that they were read from.
        uploads: uploads that arrive in pieces.
        keys: the idempotency keys in use.
        records: the records of this engine's jobs.
        retention: deletion on request and by age.
        erasures: erasures with a receipt.
        previews: previews of analyses.
        history: what people list and write about stored reports.
        places: tables that stay where they are.
        place_columns: names, kinds and suggested roles of their columns.
        shares: links that give read access to one report each.
    """

    def __init__(
        self,
        tenant_id: str,
        engine: Engine,
        *,
        store: ResultStore,
        cache: ResultCache,
        unstored: MemoryCache,
        files: TenantFiles,
        samples: bool,
        shared: Datasets | None,
    ) -> None:
        bounds, pool, quarantine = engine.bounds, engine.pool, Quarantine()
        self.tenant_id = tenant_id
        self.store = store
        self.pool = pool
        self.admission = engine.admission
        self._files = files
        self._engine = engine
        self._results = Results(
            store,
            cache,
            confirm=engine.confirm,
            room=None if engine.on_server else files.check_room,
            unstored=unstored,
        )
        self.records = JobRecords(store, files.owner)
        self.keys = IdempotencyKeys(cache)
        self.datasets = Datasets(
            pool=pool,
            store=store,
            files=files,
            quarantine=quarantine,
            limits=bounds.file_limits,
            samples=samples,
            epoch=engine.epoch,
            shared=shared,
        )
        self.originals = OriginalFiles(
            datasets=self.datasets, files=files, pool=pool, quarantine=quarantine, limits=bounds.file_limits
        )
        self.uploads = Uploads(files=files, datasets=self.datasets, originals=self.originals)
        self.retention = Retention(
            store=store,
            results=self._results,
            files=files,
            datasets=self.datasets,
            keep=bounds.keep,
            own=lambda: engine.retention(tenant_id),
            directory=files.directory if tenant_id == DEFAULT_TENANT else None,
        )
        self.erasures = Erasures(
            store=store,
            files=files,
            retention=self.retention,
            keys=self.keys,
            group=engine.group,
            erase_tenant=engine.erase_tenant,
            scrub=engine.scrub,
            finished=lambda record: engine.finished(tenant_id, record),
            stop=lambda dataset_id: engine.stop(tenant_id, dataset_id),
        )
        self.places = bounds.places or Places({})
        self._missing_facts = MissingFacts(store)
        self._reuses = ReuseCounts(store)
        self.history = History(store=store, results=self._results, datasets=self.datasets)
        self.shares = Shares(store=store, results=self._results, most_days=bounds.share_days)
        self._metered = MeteredPool(pool, tenant_id, engine.cpu)
        self._computation = Computation(
            pool=self._metered,
            datasets=self.datasets,
            places=self.places,
            results=self._results,
            admission=engine.admission,
            quarantine=quarantine,
            threads=bounds.threads,
            tenant=tenant_id,
        )
        tasks = PlaceTasks(
            pool=self._metered, places=self.places, datasets=self.datasets, quarantine=quarantine, tenant_id=tenant_id
        )
        self.place_columns = PlaceColumnsReader(tasks, threads=bounds.threads)
        self.previews = Previews(
            pool=self._metered, datasets=self.datasets, tasks=tasks, quarantine=quarantine, threads=bounds.threads
        )
        # A computation belongs to no single caller: waiters may join and leave.
        self._single_flight = SingleFlight[LookedUp](engine.group)
        self._pictures = Pictures(group=engine.group, pool=pool, files=files, is_held=self._results.is_held)
        self._unknown = Outage("A lookup of an existing job failed")

    async def analyze(
        self,
        request: AnalyzeRequest,
        *,
        record: DatasetRecord | None = None,
        seconds: float = math.inf,
        progress: OnStep | None = None,
        trace_id: str | None = None,
    ) -> Answer:
        """Return the report of this request or compute it; concurrent equal requests share one computation.

        Args:
            request: the request.
            record: the data, where they are none that a request can name.
            seconds: how long the caller will wait. It must leave by itself: the computation may continue for others.
            progress: called with every step.
            trace_id: trace id for the provenance.

        A cancellation leaves the computation, which is cancelled if no other caller waits for it.

        Raises:
            InputError: the request or the data must be corrected; also if the computation crashed its worker twice.
            BulkheadFull: too many computations wait, or this one could not start before its deadline.
            QuotaExceeded: the tenant has used its CPU time of an hour.
        """
        roles, _ = request.roles()
        if record is None:
            record = await self.places.record_of(self.tenant_id, request, self.datasets)
        key = analysis_id(record.digest, roles, request.options)
        found = await self._results.find(key)
        if found is not None:
            self._reuses.add(key, cached=1)
            return Answer.of(found.report, hit=True, stored=found.stored, trace_id=trace_id)
        self._metered.check()
        computed, has_started = await self._single_flight.join(
            key,
            lambda underway: self._computation.run(request, record, key, underway),
            deadline=anyio.current_time() + seconds,
            on_step=progress,
        )
        if not has_started:
            self._reuses.add(key, shared=1)
        return Answer.of(computed.report, hit=False, stored=computed.stored, trace_id=trace_id)

    async def report(self, key: str) -> StoredReport:
        """Return the report with this id.

        Raises:
            NotFound: there is no such report.
            StoreUnavailable: the store cannot be reached.
        """
        return (await self._look_up(key)).report

    async def read(self, key: str, *, trace_id: str | None = None) -> Answer:
        """Return the stored report with this id as an answer to a client."""
        found = await self._look_up(key)
        return Answer.of(found.report, hit=True, stored=found.stored, trace_id=trace_id)

    async def figure(self, key: str, name: str, suffix: str, *, language: Language = LANGUAGES[0]) -> bytes:
        """Return a figure of a report in a language; SVG and PNG are rendered at the first call and stored.

        A cancellation leaves the rendering, which is finished, so that the next call finds it.

        Raises:
            NotFound: no such report, figure or format.
        """
        report = await self.report(key)
        specs = json.loads(report.figures)
        if name not in specs:
            raise NotFound(Message("analysis.no-figure", figure=name[:100]), field="name", choices=list(specs))
        if suffix == "json":
            return canonical_json(translate_figure(specs[name], language))
        if suffix not in ("svg", "png"):
            raise NotFound(Message("analysis.no-such-format", format=suffix[:20]), choices=["svg", "png", "json"])
        file = suffix if language == LANGUAGES[0] else f"{language}.{suffix}"
        return await self._pictures.picture(
            key, name, lambda: translate_figure(specs[name], language), file=file, suffix=suffix
        )

    async def export(self, key: str, suffix: str, *, language: Language = LANGUAGES[0]) -> bytes:
        """Return a report as a document in a language; the same report gives the same bytes.

        Raises:
            NotFound: no such report or format.
            InvalidRequest: a package that the format needs is not installed.
        """
        if suffix not in EXPORT_TYPES:
            raise NotFound(Message("exports.no-such-format", format=suffix[:20]), choices=list(EXPORT_TYPES))
        specs = json.loads((await self.report(key)).figures)
        report = json.loads((await self.read(key)).body)
        arguments = {"report": report, "specs": specs, "format": suffix, "language": language}
        return (await self.pool.run("export", arguments)).payload

    def refuse_if_full(self) -> None:
        """Raise `BulkheadFull` or `QuotaExceeded` unless a computation of this tenant can run or wait."""
        self._metered.check()
        self.admission.refuse_if_full(self.tenant_id)

    async def check_room(self) -> None:
        """Check that a new job and its report can be stored.

        Raises:
            StorageFull: they would use the reserve on the disk of the data directory.
        """
        if not self._engine.on_server:
            await self._files.check_room()

    async def jobs(
        self, *, dataset_id: str | None, status: JobStatus | None, limit: int, before: str | None
    ) -> Page[JobRecord]:
        """Return recorded jobs, newest first."""
        return await self.store.jobs(dataset_id=dataset_id, status=status, limit=limit, before=before)

    async def job(self, job_id: str) -> JobRecord:
        """Return a job that this engine does not run: an earlier one, or another engine's.

        Raises:
            NotFound: there is no such job.
            StoreUnavailable: the store cannot be reached.
        """
        record = await self.store.job(job_id)
        if record is None:
            raise NotFound(Message("analysis.no-job", job=job_id[:100]), field="job_id")
        return record

    async def known_job(self, job_id: str) -> JobRecord | None:
        """Return such a job; None if there is none, if it was interrupted, or if the store cannot be reached."""
        try:
            record = await self.store.job(job_id)
            if record is not None and record.status == "running":
                # Its engine may have died a moment ago.
                await self._engine.maintain()
                record = await self.store.job(job_id)
        except StoreUnavailable as error:
            self._unknown.failed("A lookup of the existing job %s failed: %s", job_id, error)
            return None
        self._unknown.recovered()
        return None if record is None or record.status == "interrupted" else record

    @property
    def has_pending(self) -> bool:
        """True while a report or the end of a job waits for the store."""
        return bool(self._results.pending) or self.records.has_pending

    async def settle(self) -> None:
        """Write what waits for the store, up to the first failure."""
        # Reports first: a job that succeeded refers to its report.
        await self._results.settle()
        await self.records.settle()
        await self._reuses.write()

    async def fill_facts(self) -> None:
        """Compute facts of a few stored reports that have none."""
        await self._missing_facts.fill()

    @property
    def unstored(self) -> int:
        """Number of its finished reports that no store has accepted so far."""
        return self._results.pending

    def log_unstored(self) -> None:
        """Log the number of reports that are lost when this engine exits, because no store accepted them."""
        self._results.log_unstored()

    async def _look_up(self, key: str) -> LookedUp:
        found = await self._results.load(key)
        if found is None:
            raise no_analysis(key)
        return found
