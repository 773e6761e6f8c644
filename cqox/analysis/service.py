"""What one engine does: request → cache → store → worker → report.

Loads no numerics itself: those live in the worker processes.
"""

import json
import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import anyio
from pydantic import JsonValue

from cqox.analysis.admission import Admission
from cqox.analysis.answer import Answer
from cqox.analysis.computation import Computation
from cqox.analysis.datasets import Datasets
from cqox.analysis.heap import Heap
from cqox.analysis.idempotency import Keys
from cqox.analysis.job_leases import tend, tend_once
from cqox.analysis.job_records import JobRecords
from cqox.analysis.key import analysis_id, canonical_json
from cqox.analysis.log_throttle import Outage
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.results import (
    Found,
    Results,
    StoreAddresses,
    epoch_of,
    generation_of,
    is_server,
    open_cache,
    open_store,
)
from cqox.analysis.retention import Keep, Retention
from cqox.analysis.single_flight import Flights, Tell
from cqox.analysis.workers import ProcessLimits, WorkerPool
from cqox.contract import AnalyzeRequest
from cqox.errors import NotFound, StoreUnavailable
from cqox.storage import FileStore, JobRecord, JobStatus, MemoryCache, Page, ResultCache, ResultStore, StoredReport
from cqox.tasks import TaskGroup, open_task_group
from cqox.telemetry import metric_definitions, metrics
from cqox.telemetry.pools import watch_pools
from cqox.telemetry.stores import CACHE_OPERATIONS, STORE_OPERATIONS, observed

__all__ = ["Analyses", "Bounds"]

_WORK = "cqox.analysis.work"
# Reading an upload or drawing a figure does not wait for analyses.
_LIGHT_PLACES = 1
_LAST_SECONDS = 3.0
_FILES_LARGER_THAN_EXPANDED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much an engine takes on.

    Attributes:
        analyses: how many computations run at once.
        queued: how many may wait for a place.
        threads: threads of one computation.
        worker_memory_bytes: what one may use beyond its own code, 0 for no bound.
        file_limits: settings of `cqox.datasets.Limits` by name; those left out have its defaults.
        task_seconds: how long anybody waits for one computation at most, 0 for no bound.
        reserve_bytes: space that is left free on the disk of the data directory; 64 MiB if absent.
        keep: for how long things are kept.
    """

    analyses: int
    queued: int = 64
    threads: int
    worker_memory_bytes: int
    file_limits: Mapping[str, int]
    task_seconds: float = 0.0
    reserve_bytes: int | None = None
    keep: Keep = Keep()  # noqa: RUF009 - it is frozen

    def of_a_worker(self) -> ProcessLimits:
        """Return what the kernel holds each worker process to; wider than what the engine itself sees to."""
        return ProcessLimits(
            memory_bytes=self.worker_memory_bytes,
            cpu_seconds=math.ceil(self.task_seconds * (self.threads + 1)),
            file_bytes=_FILES_LARGER_THAN_EXPANDED * self.file_limits.get("max_expanded_bytes", 0),
        )


class Analyses:
    """What an engine does, whatever protocol asks for it. Open it with `Analyses.open`.

    Attributes:
        group: the tasks that outlive requests.
        pool: the worker processes.
        store: finished reports, the registry of data sets, and jobs.
        cache: finished reports near at hand.
        datasets: the tables that can be analysed.
        admission: how many computations run, and who may wait.
        keys: the idempotency keys that clients have sent.
        records: the records of this engine's jobs.
        retention: what is deleted, and when.
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
        self.keys = Keys(self.cache)
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
        self.retention = Retention(
            store=self.store, results=self._results, files=files, datasets=self.datasets, keep=bounds.keep
        )
        self.admission = Admission(size=bounds.analyses, max_queued=bounds.queued)
        self._computation = Computation(
            pool=pool,
            datasets=self.datasets,
            results=self._results,
            admission=self.admission,
            quarantine=quarantine,
            threads=bounds.threads,
        )
        # Waiters come and go; the computation is nobody's child.
        self._flights = Flights[Found](group)
        self._catalog: Sequence[JsonValue] | None = None
        self._undrawn = Outage("A figure could not be kept")
        self._unknown = Outage("Whether there is a job already could not be found out")

    @classmethod
    @asynccontextmanager
    async def open(
        cls, data_dir: Path, bounds: Bounds, addresses: StoreAddresses | None = None, *, samples: bool = True
    ) -> AsyncIterator[Self]:
        """The analyses whose data sets are under a folder. The workers begin to start; `warm` waits for them.

        Args:
            data_dir: the folder.
            bounds: how much is taken on.
            addresses: where results are kept; in the folder, with a cache in memory, by default.
            samples: whether there are built-in data sets; `warm` then makes them.
        """
        addresses = addresses or StoreAddresses()
        files = FileStore(data_dir, reserve_bytes=bounds.reserve_bytes)
        async with (
            open_store(data_dir, addresses, repair=True) as store,
            open_cache(addresses, epoch=lambda: generation_of(store)) as cache,
            WorkerPool.open(
                work=_WORK,
                size=bounds.analyses + _LIGHT_PLACES,
                limits=bounds.of_a_worker(),
                threads=bounds.threads,
            ) as pool,
        ):
            async with open_task_group("computations", detached=True) as group:
                analyses = cls(
                    group=group, pool=pool, store=store, cache=cache, files=files, bounds=bounds, samples=samples
                )
                # What an erased data set left is deleted after what was still to be recorded of it.
                chores = (analyses._settle, analyses.retention.settle_erasures, Heap().give_back)
                expire = analyses.retention.expire
                group.start_soon(partial(tend, analyses.store, files, *chores, expire=expire), name="tend the jobs")
                group.start_soon(files.tighten, name="tighten the data directory")
                with analyses._watched():
                    yield analyses
                group.cancel_scope.cancel()
            # Nothing runs any more: the last chance of what the store has not taken so far.
            with anyio.move_on_after(_LAST_SECONDS):
                await analyses._settle()
            analyses._results.log_unstored()
        files.close()

    async def warm(self) -> None:
        """Wait for a warm worker and see that the built-in data sets are there."""
        await tend_once(self.store, self._files)
        await self.datasets.prepare_samples(self.group)
        await self.catalog()

    async def catalog(self) -> Sequence[JsonValue]:
        """Every estimator, described."""
        if self._catalog is None:
            self._catalog = (await self.pool.run("catalog", {})).array("estimators")
        return self._catalog

    async def analyze(
        self,
        request: AnalyzeRequest,
        *,
        seconds: float = math.inf,
        progress: Tell | None = None,
        trace_id: str | None = None,
    ) -> Answer:
        """The report on this request, computed unless it is there already; together with all who ask for the same.

        Args:
            request: the request.
            seconds: how long the caller will wait. It must leave by itself: the computation may be kept for others.
            progress: told of every step.
            trace_id: for the provenance.

        A cancellation leaves the computation, and ends it if nobody else waits for it.

        Raises:
            InputError: the request or the data must be corrected; also where the computation ended its worker twice.
            BulkheadFull: too many computations wait, or this one could not begin in time.
        """
        roles, _ = request.roles()
        record = await self.datasets.get_for_analysis(request.dataset_id)
        key = analysis_id(record.digest, roles, request.options)
        found = await self._results.find(key)
        if found is not None:
            return Answer.of(found.report, hit=True, stored=found.stored, trace_id=trace_id)
        computed, _ = await self._flights.join(
            key,
            lambda underway: self._computation.run(request, record, key, underway),
            deadline=anyio.current_time() + seconds,
            tell=progress,
        )
        return Answer.of(computed.report, hit=False, stored=computed.stored, trace_id=trace_id)

    async def report(self, key: str) -> StoredReport:
        """The report of this id.

        Raises:
            NotFound: there is none.
            StoreUnavailable: the store cannot be asked.
        """
        return (await self._found(key)).report

    async def read(self, key: str, *, trace_id: str | None = None) -> Answer:
        """The stored report of this id as it goes to a client."""
        found = await self._found(key)
        return Answer.of(found.report, hit=True, stored=found.stored, trace_id=trace_id)

    async def reports(self, *, dataset_id: str | None, limit: int, before: str | None) -> Page[StoredReport]:
        """Stored reports, newest first, without their bodies."""
        return await self.store.reports(dataset_id=dataset_id, limit=limit, before=before)

    async def figure(self, key: str, name: str, suffix: str) -> bytes:
        """A figure of a report; SVG and PNG are drawn at the first call and kept.

        Raises:
            NotFound: no such report, figure or format.
        """
        report = await self.report(key)
        specs = json.loads(report.figures)
        if name not in specs:
            raise NotFound(f"The analysis has no figure '{name[:100]}'.", field="name", choices=list(specs))
        if suffix == "json":
            return canonical_json(specs[name])
        if suffix not in ("svg", "png"):
            raise NotFound(
                f"A figure comes as svg, png or json, not as '{suffix[:20]}'.", choices=["svg", "png", "json"]
            )
        path = self._files.figure(key, name, suffix)
        drawn: bytes | None = None
        with self._without_keeping(key, name):
            drawn = await self._files.read(path)
        if drawn is None:
            drawn = (await self.pool.run("render", {"spec": specs[name], "format": suffix})).payload
            with self._without_keeping(key, name):
                await self._files.check_room()
                await self._files.write(path, drawn)
                self._undrawn.over()
                if not await self._results.is_held(key):
                    # It was deleted while the figure was drawn.
                    await self._files.erase(key)
        return drawn

    async def check_disk(self) -> None:
        """Nothing, if the data directory takes files and has room for some.

        Raises:
            StoreUnavailable: it does not, or has hardly any.
        """
        await self._files.check()

    async def check_room(self) -> None:
        """Nothing, if a new job and its report can be kept.

        Raises:
            StorageFull: they would take what is reserved on the disk of the data directory.
        """
        if not self._on_server:
            await self._files.check_room()

    async def jobs(
        self, *, dataset_id: str | None, status: JobStatus | None, limit: int, before: str | None
    ) -> Page[JobRecord]:
        """Recorded jobs, newest first."""
        return await self.store.jobs(dataset_id=dataset_id, status=status, limit=limit, before=before)

    async def job(self, job_id: str) -> JobRecord:
        """A job that this engine does not run: an earlier one, or another engine's.

        Raises:
            NotFound: there was none.
            StoreUnavailable: the store cannot be asked.
        """
        record = await self.store.job(job_id)
        if record is None:
            raise NotFound(f"There is no job '{job_id[:100]}'.", field="job_id")
        return record

    async def known_job(self, job_id: str) -> JobRecord | None:
        """The same; None where there was none, where it was interrupted, and where the store cannot be asked."""
        try:
            record = await self.store.job(job_id)
            if record is not None and record.status == "running":
                # Unless its engine has died a moment ago.
                await tend_once(self.store, self._files)
                record = await self.store.job(job_id)
        except StoreUnavailable as error:
            self._unknown.failed("Whether there is a job %s already could not be found out: %s", job_id, error)
            return None
        self._unknown.over()
        return None if record is None or record.status == "interrupted" else record

    async def _settle(self) -> None:
        await self._files.recover()
        # A job that succeeded leads to its report, which comes first.
        await self._results.settle()
        await self.records.settle()

    @contextmanager
    def _without_keeping(self, key: str, name: str) -> Iterator[None]:
        # A figure that is drawn can be shown, wherever it is or is not kept.
        try:
            yield
        except StoreUnavailable as error:
            self._undrawn.failed("The figure %s of %s is drawn and could not be kept: %s", name, key, error)

    async def _found(self, key: str) -> Found:
        found = await self._results.load(key)
        if found is None:
            raise NotFound(f"There is no analysis '{key[:100]}'; see GET /api/analyses.", field="analysis_id")
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
