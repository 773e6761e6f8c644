"""One computation: admission, a run in a worker process, and storage of its report.

This module contains the work done once per key. `single_flight` shares it between callers, and `results` finds stored
reports.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cqox import clock, randomness
from cqox.analysis.admission import Admission
from cqox.analysis.datasets import Datasets
from cqox.analysis.key import canonical_json, code_version, digest
from cqox.analysis.metered_pool import MeteredPool
from cqox.analysis.places import PlaceRecord, Places, Reading, provenance_of
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.results import LookedUp, Results
from cqox.analysis.single_flight import Waiters
from cqox.analysis.workers import Reply
from cqox.analysis.written import read
from cqox.contract import AnalyzeRequest
from cqox.storage import DatasetRecord, StoredReport
from cqox.telemetry.analyses import measure_report, measured_steps

__all__ = ["Computation"]


class Computation:
    """Computation of reports by one engine.

    Args:
        pool: the worker processes.
        datasets: the available data sets.
        places: the tables in place.
        results: the finished reports.
        admission: bound on concurrent computations.
        quarantine: keys rejected after repeated worker crashes.
        threads: threads of one computation.
        tenant: the tenant that the reports are for.
    """

    def __init__(
        self,
        *,
        pool: MeteredPool,
        datasets: Datasets,
        places: Places | None = None,
        results: Results,
        admission: Admission,
        quarantine: Quarantine,
        threads: int,
        tenant: str,
    ) -> None:
        self._pool = pool
        self._datasets = datasets
        self._places = places or Places({})
        self._results = results
        self._admission = admission
        self._quarantine = quarantine
        self._threads = threads
        self._tenant = tenant

    async def run(self, request: AnalyzeRequest, record: DatasetRecord, key: str, waiters: Waiters) -> LookedUp:
        """Compute and store the report, unless another engine holds the computation lease; then wait for its report.

        A cancellation ends the task of the worker and releases the slot and the lease.

        Raises:
            InputError: the request or the data must be corrected; also if the computation crashed its worker twice.
            BulkheadFull: too many computations wait, or this one could not start before its deadline.
        """

        async def compute() -> StoredReport:
            # The queue of a source first: a slow one must not hold the slots of all.
            async with (
                self._places.admitted(record),
                self._admission.slot(self._tenant, seconds_left=waiters.seconds_left),
            ):
                return await self._compute(request, record, key, waiters)

        return await self._results.once(key, compute)

    async def _compute(
        self, request: AnalyzeRequest, record: DatasetRecord, key: str, waiters: Waiters
    ) -> StoredReport:
        arguments = {"request": request.model_dump(mode="json"), "threads": self._threads}
        async with self._reading(record, waiters) as table:
            task = {**table.arguments, **arguments}
            steps = measured_steps(waiters.report)
            served = {} if table.serve is None else {"serve": table.serve}
            reply = await self._quarantine.guard(key, lambda: self._pool.run("analyze", task, steps, **served))
        return _stored(reply, request, record, key)

    @asynccontextmanager
    async def _reading(self, record: DatasetRecord, waiters: Waiters) -> AsyncIterator[Reading]:
        if isinstance(record, PlaceRecord):
            scratch = self._datasets.plain_scratch / f"place-{randomness.token_hex(8)}"
            async with self._places.reading(
                record, scratch, seconds_left=waiters.seconds_left, report=waiters.report
            ) as place:
                yield place
            return
        async with self._datasets.reading(record) as table:
            yield Reading(arguments=table.to_arguments(), serve=None)


def _stored(reply: Reply, request: AnalyzeRequest, record: DatasetRecord, key: str) -> StoredReport:
    written = read(reply)
    summary = written.summary
    measure_report(summary, rows=written.rows)
    content = written.with_ids(
        {"analysis_id": key, "dataset_id": record.dataset_id},
        {name: f"/api/analyses/{key}/figures/{name}.svg" for name in written.figures},
    )
    provenance = {
        "dataset_digest": record.digest,
        "rows": written.rows,
        "rows_used": written.rows_used,
        "code_version": code_version(),
        "seed": request.options.seed,
        "folds_version": request.options.folds_version,
        "engine": written.engine,
        **provenance_of(record),
        "seconds": written.seconds,
    }
    estimate = summary["estimate"]
    return StoredReport(
        analysis_id=key,
        dataset_id=record.dataset_id,
        created_at=clock.timestamp(),
        status=str(summary["status"]),
        verdict=str(summary["verdict"]),
        primary=_text(summary["primary"]),
        estimate=float(estimate) if isinstance(estimate, float | int) else None,
        report=content,
        provenance=canonical_json(provenance),
        figures=written.specs,
        digest=digest(content),
        outcome=_text(summary["outcome"]),
        treatment=_text(summary["treatment"]),
        headline=_text(summary["headline"]),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
