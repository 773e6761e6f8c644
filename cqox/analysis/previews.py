"""Previews of analyses in a worker process; nothing is stored."""

import math
from collections.abc import Mapping

from cqox.analysis.datasets import Datasets
from cqox.analysis.key import analysis_id
from cqox.analysis.metered_pool import MeteredPool
from cqox.analysis.place_tasks import PlaceTasks, until
from cqox.analysis.places import PlaceRecord
from cqox.analysis.quarantine import Quarantine
from cqox.contract import AnalyzeRequest

__all__ = ["Previews"]


class Previews:
    """Previews of one engine.

    Args:
        pool: the worker processes.
        datasets: the available data sets.
        tasks: what workers do with tables in place.
        quarantine: keys rejected after repeated worker crashes; those of the analyses.
        threads: threads of one preview.
    """

    def __init__(
        self, *, pool: MeteredPool, datasets: Datasets, tasks: PlaceTasks, quarantine: Quarantine, threads: int
    ) -> None:
        self._pool = pool
        self._datasets = datasets
        self._tasks = tasks
        self._quarantine = quarantine
        self._threads = threads

    async def preview(
        self, request: AnalyzeRequest, *, record: PlaceRecord | None = None, seconds: float = math.inf
    ) -> Mapping[str, object]:
        """Return what a request would analyse, as `cqox.contract.Preview`.

        A cancellation ends the task of the worker, and the statement on the server of a table in place.

        Args:
            request: the request.
            record: the table in place, where it is none that a request can name.
            seconds: how long the caller will wait.

        Raises:
            InputError: the request or the data must be corrected, as of the analysis.
            SourceDown: the source of a table in place fails.
            BulkheadFull: too many requests wait for that source.
            QuotaExceeded: the tenant has used its CPU time of an hour.
        """
        self._pool.check()
        roles, _ = request.roles()
        if record is None and request.source is not None:
            record = await self._tasks.record(request.source, str(request.table))
        arguments = {"request": request.model_dump(mode="json"), "threads": self._threads}
        if record is not None:
            key = f"preview {analysis_id(record.digest, roles, request.options)}"
            body = await self._tasks.run("preview", record, arguments, key=key, seconds_left=until(seconds))
            return {"dataset_id": record.dataset_id, **body}
        stored = await self._datasets.get_for_analysis(request.dataset_id)
        key = f"preview {analysis_id(stored.digest, roles, request.options)}"
        async with self._datasets.reading(stored) as table:
            task = {**table.to_arguments(), **arguments}
            reply = await self._quarantine.guard(key, lambda: self._pool.run("preview", task))
        return {"dataset_id": stored.dataset_id, **reply.body}
