"""One engine: request → cache → store → worker → report.

Imports no numerics: those are in the worker processes.
"""

import json
import math
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Self

import anyio

from cqox.analysis.admission import Admission
from cqox.analysis.answer import Answer
from cqox.analysis.bounds import Bounds
from cqox.analysis.computation import Computation
from cqox.analysis.datasets import Datasets
from cqox.analysis.heap import Heap
from cqox.analysis.history import History, no_analysis
from cqox.analysis.idempotency import IdempotencyKeys
from cqox.analysis.job_leases import maintain, maintain_once
from cqox.analysis.job_records import JobRecords
from cqox.analysis.key import analysis_id, canonical_json
from cqox.analysis.log_throttle import Outage
from cqox.analysis.original_files import OriginalFiles
from cqox.analysis.pending_writes import write_pending
from cqox.analysis.pools import open_pool
from cqox.analysis.previews import Previews
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.results import LookedUp, Results
from cqox.analysis.retention import Retention
from cqox.analysis.shares import Shares
from cqox.analysis.single_flight import OnStep, SingleFlight
from cqox.analysis.stores import StoreAddresses, epoch_of, generation_of, is_server, open_cache, open_store
from cqox.analysis.uploads import Uploads
from cqox.analysis.workers import WorkerPool
from cqox.assets import check_assets
from cqox.contract import EXPORT_TYPES, AnalyzeRequest
from cqox.contract.messages import LANGUAGES, Language, Message, translate_figure
from cqox.errors import NotFound, StoreUnavailable
from cqox.storage import FileStore, JobRecord, JobStatus, MemoryCache, Page, ResultCache, ResultStore, StoredReport
from cqox.tasks import TaskGroup, open_task_group
from cqox.telemetry import metric_definitions, metrics
from cqox.telemetry.pools import watch_pools
from cqox.telemetry.stores import CACHE_OPERATIONS, STORE_OPERATIONS, observed

__all__ = ["Analyses"]

_LAST_SECONDS = 3.0


class Analyses:
    """Services of one engine, independent of the protocol. Open it with `Analyses.open`.

    Attributes:
        group: tasks that outlive requests.
        pool: the worker processes.
        store: finished reports, the data set registry, and jobs.
        cache: cached reports.
        datasets: the available data sets.
        originals: the files that they were read from.
        uploads: uploads that arrive in pieces.
        admission: admission control of computations.
        keys: the idempotency keys in use.
        records: the records of this engine's jobs.
        retention: deletion on request and by age.
        previews: previews of analyses.
        history: what people list and write about stored reports.
        shares: links that give read access to one report each.
    """

    def __init__(
        self,
        *,
        group: TaskGroup,
        pool: WorkerPool,
        store: ResultStore,
        cache: ResultCache,
        files: FileStore,
        bounds: Bounds,
        samples: bool,
    ) -> None:
        self.group = group
        self.pool = pool
        self.store = observed(store, STORE_OPERATIONS)
        self.cache = observed(cache, CACHE_OPERATIONS)
        self._files = files
        self._memory = cache
        self._on_server = is_server(store)
        self._results = Results(
            self.store,
            self.cache,
            confirm=self._on_server and isinstance(cache, MemoryCache),
            room=None if self._on_server else files.check_room,
        )
        self.records = JobRecords(self.store, files.owner)
        self.keys = IdempotencyKeys(self.cache)
        quarantine = Quarantine()
        self.datasets = Datasets(
            pool=pool,
            store=self.store,
            files=files,
            quarantine=quarantine,
            limits=bounds.file_limits,
            samples=samples,
            epoch=lambda: epoch_of(store),
        )
        self.originals = OriginalFiles(
            datasets=self.datasets, files=files, pool=pool, quarantine=quarantine, limits=bounds.file_limits
        )
        self.uploads = Uploads(files=files, datasets=self.datasets, originals=self.originals)
        self.retention = Retention(
            store=self.store, results=self._results, files=files, datasets=self.datasets, keep=bounds.keep
        )
        self.history = History(store=self.store, results=self._results, datasets=self.datasets)
        self.shares = Shares(store=self.store, results=self._results, most_days=bounds.share_days)
        self.admission = Admission(size=bounds.analyses, max_queued=bounds.queued)
        self._computation = Computation(
            pool=pool,
            datasets=self.datasets,
            results=self._results,
            admission=self.admission,
            quarantine=quarantine,
            threads=bounds.threads,
        )
        self.previews = Previews(
            pool=pool, datasets=self.datasets, quarantine=quarantine, threads=bounds.threads
        )  # fmt: skip
        # A computation belongs to no single caller: waiters may join and leave.
        self._single_flight = SingleFlight[LookedUp](group)
        self._catalog: Mapping[str, object] | None = None
        self._definitions: Mapping[str, object] | None = None
        self._undrawn = Outage("A figure could not be stored")
        self._unknown = Outage("A lookup of an existing job failed")

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        data_dir: Path,
        bounds: Bounds,
        addresses: StoreAddresses | None = None,
        *,
        samples: bool = True,
        opened: WorkerPool | None = None,
    ) -> AsyncIterator[Self]:
        """Open the analyses of a data directory. The workers start in the background; `warm` waits for them.

        Args:
            data_dir: the folder.
            bounds: resource limits.
            addresses: result store and cache; by default in the folder and in memory.
            samples: whether there are built-in data sets; `warm` then creates them.
            opened: a pool made by `open_pool` for these bounds; one of its own by default.

        Raises:
            ModuleNotFoundError: `cqox-assets` is not installed.
        """
        # Workers would find out too, but their errors reach a log only.
        check_assets()
        addresses = addresses or StoreAddresses()
        files = FileStore(data_dir, reserve_bytes=bounds.reserve_bytes, originals_bytes=bounds.originals_bytes)
        async with (
            open_store(data_dir, addresses, repair=True) as store,
            open_cache(addresses, epoch=lambda: generation_of(store)) as cache,
            nullcontext(opened) if opened is not None else open_pool(bounds) as pool,
        ):
            async with open_task_group("computations", detached=True) as group:
                analyses = cls(
                    group=group, pool=pool, store=store, cache=cache, files=files, bounds=bounds, samples=samples
                )
                # Reports of erased data sets are deleted after pending records are written.
                chores = (analyses._settle, analyses.retention.settle_erasures, Heap().release)
                expire = analyses.retention.expire
                group.start_soon(
                    partial(maintain, analyses.store, files, *chores, expire=expire), name="maintain the job leases"
                )
                group.start_soon(files.tighten, name="tighten the data directory")
                with analyses._watched():
                    yield analyses
                group.cancel_scope.cancel()
            # No job runs any more: the last attempts to write what is pending.
            await write_pending(analyses._settle, analyses._has_pending, seconds=_LAST_SECONDS)
            analyses._results.log_unstored()
        files.close()

    async def warm(self) -> None:
        """Wait for a warm worker and create the built-in data sets."""
        await maintain_once(self.store, self._files)
        await self.datasets.prepare_samples(self.group)
        await self.catalog()

    async def catalog(self) -> Mapping[str, object]:
        """Return the document that describes every estimator."""
        if self._catalog is None:
            self._catalog = (await self.pool.run("catalog", {})).body
        return self._catalog

    async def definitions(self) -> Mapping[str, object]:
        """Return the document that defines every verdict, gate and assumption."""
        if self._definitions is None:
            self._definitions = (await self.pool.run("definitions", {})).body
        return self._definitions

    async def analyze(
        self,
        request: AnalyzeRequest,
        *,
        seconds: float = math.inf,
        progress: OnStep | None = None,
        trace_id: str | None = None,
    ) -> Answer:
        """Return the report of this request or compute it; concurrent equal requests share one computation.

        Args:
            request: the request.
            seconds: how long the caller will wait. It must leave by itself: the computation may continue for others.
            progress: called with every step.
            trace_id: trace id for the provenance.

        A cancellation leaves the computation, which is cancelled if no other caller waits for it.

        Raises:
            InputError: the request or the data must be corrected; also if the computation crashed its worker twice.
            BulkheadFull: too many computations wait, or this one could not start before its deadline.
        """
        roles, _ = request.roles()
        record = await self.datasets.get_for_analysis(request.dataset_id)
        key = analysis_id(record.digest, roles, request.options)
        found = await self._results.find(key)
        if found is not None:
            return Answer.of(found.report, hit=True, stored=found.stored, trace_id=trace_id)
        computed, _ = await self._single_flight.join(
            key,
            lambda underway: self._computation.run(request, record, key, underway),
            deadline=anyio.current_time() + seconds,
            on_step=progress,
        )
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
        path = self._files.figure(key, name, suffix if language == LANGUAGES[0] else f"{language}.{suffix}")
        drawn: bytes | None = None
        with self._without_keeping(key, name):
            drawn = await self._files.read(path)
        if drawn is None:
            drawn = (
                await self.pool.run("render", {"spec": translate_figure(specs[name], language), "format": suffix})
            ).payload
            with self._without_keeping(key, name):
                await self._files.check_room()
                await self._files.write(path, drawn)
                self._undrawn.recovered()
                if not await self._results.is_held(key):
                    # The report was deleted while the figure was rendered.
                    await self._files.erase(key)
        return drawn

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

    async def check_disk(self) -> None:
        """Check that the data directory is writable and has space left.

        Raises:
            StoreUnavailable: it is not, or free space is below the reserve.
        """
        await self._files.check()

    async def check_room(self) -> None:
        """Check that a new job and its report can be stored.

        Raises:
            StorageFull: they would use the reserve on the disk of the data directory.
        """
        if not self._on_server:
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
                await maintain_once(self.store, self._files)
                record = await self.store.job(job_id)
        except StoreUnavailable as error:
            self._unknown.failed("A lookup of the existing job %s failed: %s", job_id, error)
            return None
        self._unknown.recovered()
        return None if record is None or record.status == "interrupted" else record

    def _has_pending(self) -> bool:
        return self._results.has_pending or self.records.has_pending

    async def _settle(self) -> None:
        await self._files.recover()
        # Reports first: a job that succeeded refers to its report.
        await self._results.settle()
        await self.records.settle()

    @contextmanager
    def _without_keeping(self, key: str, name: str) -> Iterator[None]:
        # A rendered figure can be returned even if it cannot be stored.
        try:
            yield
        except StoreUnavailable as error:
            self._undrawn.failed("The figure %s of %s was rendered and could not be stored: %s", name, key, error)

    async def _look_up(self, key: str) -> LookedUp:
        found = await self._results.load(key)
        if found is None:
            raise no_analysis(key)
        return found

    def _cache_sizes(self) -> list[tuple[float, dict[str, str]]]:
        sizes: list[tuple[float, dict[str, str]]] = [(self._results.unstored_bytes(), {"cache": "unstored"})]
        if isinstance(self._memory, MemoryCache):
            sizes.append((self._memory.size_bytes, {"cache": "memory"}))
        return sizes

    @contextmanager
    def _watched(self) -> Iterator[None]:
        pool, admission = self.pool, self.admission
        ends = [
            metrics.watch(metric_definitions.QUEUE_DEPTH, lambda: [(admission.queued, {})]),
            metrics.watch(metric_definitions.ANALYSES_RUNNING, lambda: [(admission.running, {})]),
            metrics.watch(metric_definitions.WORKER_RESTARTS, lambda: [(pool.restarts, {})]),
            watch_pools(self.store, self.cache),
            metrics.watch(metric_definitions.CACHE_BYTES, self._cache_sizes),
            metrics.watch(
                metric_definitions.WORKERS, lambda: [(pool.idle, {"state": "idle"}), (pool.busy, {"state": "busy"})]
            ),
        ]
        try:
            yield
        finally:
            for end in ends:
                end()
