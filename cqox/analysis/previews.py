"""Previews of analyses in a worker process; nothing is stored."""

from collections.abc import Mapping

from cqox.analysis.datasets import Datasets
from cqox.analysis.key import analysis_id
from cqox.analysis.metered_pool import MeteredPool
from cqox.analysis.quarantine import Quarantine
from cqox.contract import AnalyzeRequest

__all__ = ["Previews"]


class Previews:
    """Previews of one engine.

    Args:
        pool: the worker processes.
        datasets: the available data sets.
        quarantine: keys rejected after repeated worker crashes; those of the analyses.
        threads: threads of one preview.
    """

    def __init__(self, *, pool: MeteredPool, datasets: Datasets, quarantine: Quarantine, threads: int) -> None:
        self._pool = pool
        self._datasets = datasets
        self._quarantine = quarantine
        self._threads = threads

    async def preview(self, request: AnalyzeRequest) -> Mapping[str, object]:
        """Return what a request would analyse, as `cqox.contract.Preview`. A cancellation ends the task of the worker.

        Raises:
            InputError: the request or the data must be corrected, as of the analysis.
            QuotaExceeded: the tenant has used its CPU time of an hour.
        """
        self._pool.check()
        roles, _ = request.roles()
        record = await self._datasets.get_for_analysis(request.dataset_id)
        arguments = {"request": request.model_dump(mode="json"), "threads": self._threads}
        key = f"preview {analysis_id(record.digest, roles, request.options)}"
        async with self._datasets.reading(record) as table:
            task = {**table.to_arguments(), **arguments}
            reply = await self._quarantine.guard(key, lambda: self._pool.run("preview", task))
        return {"dataset_id": record.dataset_id, **reply.body}
