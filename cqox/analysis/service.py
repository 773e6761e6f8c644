"""The analyses and data sets of one engine: request → cache → store → worker → report.

Loads no numerics itself: those live in the worker processes.
"""

import json
import logging
import math
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import anyio
from pydantic import JsonValue

from cqox.analysis.admission import Admission
from cqox.analysis.flights import Flights, Tell, Underway
from cqox.analysis.key import analysis_id, canonical_json, code_version, digest
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.results import Found, Results, StoreAddresses, open_cache, open_store
from cqox.analysis.tending import JOB_LEASE_SECONDS, tend, tend_once
from cqox.analysis.workers import Progress, WorkerPool
from cqox.contract import AnalyzeRequest
from cqox.errors import InvalidRequest, NotFound, StoreUnavailable
from cqox.storage import DatasetRecord, FileStore, JobRecord, Page, ResultCache, ResultStore, StoredReport
from cqox.tasks import TaskGroup, open_task_group
from cqox.telemetry import metrics, series
from cqox.telemetry.analyses import measure_report, measured_steps
from cqox.telemetry.stores import CACHE_OPERATIONS, STORE_OPERATIONS, observed

__all__ = ["Analyses", "Answer", "Bounds"]

_WORK = "cqox.analysis.work"
# Reading an upload or drawing a figure does not wait for analyses.
_LIGHT_PLACES = 1
_REGISTER_PAUSE_SECONDS = 5.0
_logger = logging.getLogger("cqox.analysis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much an engine takes on.

    Attributes:
        analyses: how many computations run at once.
        queued: how many may wait for a place.
        threads: threads of one computation.
        worker_memory_bytes: what one may use beyond its own code, 0 for no bound.
        file_limits: settings of `cqox.datasets.Limits` by name; those left out have its defaults.
    """

    analyses: int
    queued: int = 64
    threads: int
    worker_memory_bytes: int
    file_limits: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A report as it goes to a client.

    Attributes:
        analysis_id: its id.
        body: the whole report, JSON bytes.
        hit: whether it was there already.
        stored: whether it can be read again later.
    """

    analysis_id: str
    body: bytes
    hit: bool
    stored: bool


class Analyses:
    """What an engine does, whatever protocol asks for it. Open it with `Analyses.open`."""

    def __init__(
        self,
        *,
        group: TaskGroup,
        pool: WorkerPool,
        store: ResultStore,
        cache: ResultCache,
        files: FileStore,
        bounds: Bounds,
    ) -> None:
        self.group = group
        self.pool = pool
        self.store = observed(store, STORE_OPERATIONS)
        self.cache = observed(cache, CACHE_OPERATIONS)
        self._files = files
        self._results = Results(self.store, self.cache)
        self._bounds = bounds
        self.admission = Admission(size=bounds.analyses, max_queued=bounds.queued)
        # Waiters come and go; the computation is nobody's child.
        self._flights = Flights[Found](group)
        self._quarantine = Quarantine()
        self._catalog: Sequence[JsonValue] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, data_dir: Path, bounds: Bounds, addresses: StoreAddresses | None = None) -> AsyncIterator[Self]:
        """The analyses whose data sets are under a folder, with results in it and a cache in memory unless told other.

        The workers begin to start; `warm` waits for them.
        """
        addresses = addresses or StoreAddresses()
        files = FileStore(data_dir)
        async with (
            open_store(data_dir, addresses) as store,
            open_cache(addresses) as cache,
            WorkerPool.open(
                work=_WORK,
                size=bounds.analyses + _LIGHT_PLACES,
                memory_bytes=bounds.worker_memory_bytes,
                threads=bounds.threads,
            ) as pool,
            open_task_group("computations", detached=True) as group,
        ):
            analyses = cls(group=group, pool=pool, store=store, cache=cache, files=files, bounds=bounds)
            group.start_soon(tend, analyses.store, files, name="tend the jobs")
            with analyses._watched():
                yield analyses
            group.cancel_scope.cancel()
        files.close()

    @property
    def scratch(self) -> Path:
        """A folder for files on their way in, on the file system where data sets are kept."""
        return self._files.scratch

    async def warm(self) -> None:
        """Wait for a warm worker and see that the built-in data sets are there."""
        await tend_once(self.store, self._files)
        reply = await self.pool.run("samples", {})
        samples = [
            await self._sample(str(sample["name"]), str(sample["digest"]), int(str(sample["size_bytes"])))
            for sample in _objects(reply.body["samples"])
        ]
        try:
            await self._register(samples)
        except StoreUnavailable as error:
            _logger.warning("The built-in data sets are registered later: %s", error)
            self.group.start_soon(self._register_later, samples, name="register the built-in data sets")
        await self.catalog()

    async def catalog(self) -> Sequence[JsonValue]:
        """Every estimator, described."""
        if self._catalog is None:
            reply = await self.pool.run("catalog", {})
            self._catalog = _list(reply.body["estimators"])
        return self._catalog

    async def add_dataset(
        self, path: Path, *, name: str, content_digest: str, size_bytes: int, options: Mapping[str, JsonValue]
    ) -> DatasetRecord:
        """Read an uploaded file and keep it as a data set; the same bytes are the same data set. The file goes.

        A cancellation leaves nothing behind.

        Raises:
            UnreadableFile, LimitExceeded, UnusableData: the file is at fault.
        """
        given = {key: value for key, value in options.items() if value is not None}
        dataset_id = digest(canonical_json([content_digest, dict(sorted(given.items()))])) if given else content_digest
        known = await self.store.dataset(dataset_id)
        if known is not None and self._files.has(dataset_id):
            return known
        folder = self._files.incoming()
        try:
            task = {
                "path": str(path),
                "folder": str(folder),
                "name": name,
                "options": given,
                "limits": dict(self._bounds.file_limits),
            }
            reply = await self._quarantine.guard(dataset_id, lambda: self.pool.run("ingest", task))
            record = _record(reply.body, dataset_id, dataset_id, name, size_bytes, sample=False)
            await self._files.keep(folder, record)
        except BaseException:
            await self._files.drop(folder)
            raise
        metrics.record(series.DATASET_SIZE, size_bytes)
        return await self.store.register(record)

    async def dataset(self, dataset_id: str) -> DatasetRecord:
        """The data set of this id.

        Raises:
            NotFound: there is none.
        """
        try:
            record = await self.store.dataset(dataset_id)
        except StoreUnavailable:
            # An analysis needs the files and what they tell of themselves, and no registry.
            record = await self._files.record(dataset_id)
            if record is None:
                raise
        if record is None:
            known = [other.dataset_id for other in await self.store.datasets()]
            raise NotFound(
                f"There is no data set '{dataset_id[:100]}'. Upload it with POST /api/datasets; GET lists all.",
                field="dataset_id",
                choices=known[:20],
            )
        return record

    async def delete_dataset(self, dataset_id: str) -> None:
        """Remove a data set; its reports stay, and analyses that are reading it finish.

        Raises:
            NotFound: there is none.
            InvalidRequest: it is built in.
        """
        record = await self.dataset(dataset_id)
        if record.sample:
            raise InvalidRequest(f"The data set '{dataset_id}' is built in and cannot be deleted.")
        await self.store.forget(dataset_id)
        await self._files.delete(dataset_id)

    async def infer(self, dataset_id: str) -> Mapping[str, object]:
        """Which columns may play which roles, as `cqox.contract.Inference`."""
        record = await self.dataset(dataset_id)
        async with self._files.reading(dataset_id) as path:
            reply = await self.pool.run("infer", {"path": str(path)})
        return {"dataset_id": record.dataset_id, **reply.body}

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

        A cancellation leaves the computation, and kills it if nobody else waits for it.

        Raises:
            InputError: the request or the data must be corrected; also where the computation ended its worker twice.
            BulkheadFull: too many computations wait, or this one could not begin in time.
        """
        roles, _ = request.roles()
        record = await self.dataset(request.dataset_id)
        key = analysis_id(record.digest, roles, request.options)
        found = await self._results.find(key)
        if found is not None:
            return _answer(found.report, hit=True, stored=found.stored, trace_id=trace_id)
        computed, _ = await self._flights.join(
            key,
            lambda underway: self._fly(request, record, key, underway),
            deadline=anyio.current_time() + seconds,
            tell=progress,
        )
        return _answer(computed.report, hit=False, stored=computed.stored, trace_id=trace_id)

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
        return _answer(found.report, hit=True, stored=found.stored, trace_id=trace_id)

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
        drawn = await self._files.read(path)
        if drawn is None:
            reply = await self.pool.run("render", {"spec": specs[name], "format": suffix})
            drawn = reply.payload
            await self._files.write(path, drawn)
        return drawn

    @contextmanager
    def _watched(self) -> Iterator[None]:
        pool, admission = self.pool, self.admission
        ends = [
            metrics.watch(series.QUEUE_DEPTH, lambda: [(admission.queued, {})]),
            metrics.watch(series.ANALYSES_RUNNING, lambda: [(admission.running, {})]),
            metrics.watch(series.WORKER_RESTARTS, lambda: [(pool.restarts, {})]),
            metrics.watch(series.WORKERS, lambda: [(pool.idle, {"state": "idle"}), (pool.busy, {"state": "busy"})]),
        ]
        try:
            yield
        finally:
            for end in ends:
                end()

    async def keep_job(self, record: JobRecord) -> None:
        """Enter a job of this engine, or how it has ended, in the store; one that is away is done without."""
        try:
            await self.store.put_job(record, owner=self._files.owner, seconds=JOB_LEASE_SECONDS)
        except StoreUnavailable as error:
            _logger.warning("The job %s could not be recorded as %s: %s", record.job_id, record.status, error)

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

    async def _found(self, key: str) -> Found:
        found = await self._results.load(key)
        if found is None:
            raise NotFound(f"There is no analysis '{key[:100]}'; see GET /api/analyses.", field="analysis_id")
        return found

    async def _fly(self, request: AnalyzeRequest, record: DatasetRecord, key: str, underway: Underway) -> Found:
        async def compute() -> StoredReport:
            arrived = time.perf_counter()
            async with self.admission.slot(seconds_left=underway.seconds_left()):
                metrics.record(series.QUEUE_WAIT, time.perf_counter() - arrived)
                return await self._compute(request, record, key, underway.tell)

        return await self._results.once(key, compute)

    async def _compute(
        self, request: AnalyzeRequest, record: DatasetRecord, key: str, progress: Progress
    ) -> StoredReport:
        arguments = {"request": request.model_dump(mode="json"), "threads": self._bounds.threads}
        async with self._files.reading(record.dataset_id) as path:
            task = {"path": str(path), **arguments}
            reply = await self._quarantine.guard(key, lambda: self.pool.run("analyze", task, measured_steps(progress)))
        body = reply.body
        report = dict(_object(body["report"]))
        measure_report(report, rows=body["rows"])
        specs = _object(body["specs"])
        figures = {name: f"/api/analyses/{key}/figures/{name}.svg" for name in specs}
        content = canonical_json({"analysis_id": key, "dataset_id": record.dataset_id, **report, "figures": figures})
        provenance = {
            "dataset_digest": record.digest,
            "rows": body["rows"],
            "rows_used": body["rows_used"],
            "code_version": code_version(),
            "seed": request.options.seed,
            "seconds": body["seconds"],
        }
        decision = _object(report["decision"])
        return StoredReport(
            analysis_id=key,
            dataset_id=record.dataset_id,
            created_at=_now(),
            status=str(report["status"]),
            verdict=str(decision["verdict"]),
            primary=None if decision["primary"] is None else str(decision["primary"]),
            estimate=_primary_estimate(report, decision),
            report=content,
            provenance=canonical_json(provenance),
            figures=canonical_json(specs),
            digest=digest(content),
        )

    async def _sample(self, name: str, sample_digest: str, size_bytes: int) -> DatasetRecord:
        known = await self._files.record(name)
        if known is not None and known.digest == sample_digest and self._files.has(name):
            return known
        folder = self._files.incoming()
        try:
            reply = await self.pool.run("sample", {"name": name, "folder": str(folder)})
            record = _record(reply.body, name, sample_digest, name, size_bytes, sample=True)
            await self._files.keep(folder, record, replace=True)
        except BaseException:
            await self._files.drop(folder)
            raise
        return record

    async def _register(self, samples: Sequence[DatasetRecord]) -> None:
        for sample in samples:
            await self.store.register(sample)

    async def _register_later(self, samples: Sequence[DatasetRecord]) -> None:
        while True:
            await anyio.sleep(_REGISTER_PAUSE_SECONDS)
            with suppress(StoreUnavailable):
                await self._register(samples)
                return


def _answer(report: StoredReport, *, hit: bool, stored: bool, trace_id: str | None) -> Answer:
    # The report's bytes are kept as they are; only the provenance says how this client came by them.
    provenance = {
        **json.loads(report.provenance),
        "cache": "hit" if hit else "miss",
        "trace_id": trace_id,
        "stored": stored,
    }
    body = report.report[:-1] + b',"provenance":' + canonical_json(provenance) + b"}"
    return Answer(analysis_id=report.analysis_id, body=body, hit=hit, stored=stored)


def _record(
    description: Mapping[str, object], dataset_id: str, content_digest: str, name: str, size_bytes: int, *, sample: bool
) -> DatasetRecord:
    return DatasetRecord(
        dataset_id=dataset_id,
        digest=content_digest,
        name=name,
        rows=int(str(description["rows"])),
        columns=len(_list(description["columns"])),
        size_bytes=size_bytes,
        created_at=_now(),
        sample=sample,
        description=canonical_json(description),
    )


def _primary_estimate(report: Mapping[str, object], decision: Mapping[str, JsonValue]) -> float | None:
    for estimate in _objects(report["estimates"]):
        if estimate["name"] == decision["primary"] and isinstance(estimate["estimate"], float | int):
            return float(estimate["estimate"])
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _object(value: object) -> Mapping[str, JsonValue]:
    if not isinstance(value, dict):
        raise TypeError(f"a worker answered {type(value).__name__} where an object was due")
    return value


def _list(value: object) -> Sequence[JsonValue]:
    if not isinstance(value, list):
        raise TypeError(f"a worker answered {type(value).__name__} where an array was due")
    return value


def _objects(value: object) -> Sequence[Mapping[str, JsonValue]]:
    return [_object(item) for item in _list(value)]
