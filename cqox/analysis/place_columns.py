"""Columns of tables in place, read in a worker process: names and kinds without a row, and suggested roles."""

import math
from collections.abc import Mapping

from cqox.analysis.place_tasks import PlaceTasks, until
from cqox.analysis.places import PlaceRecord

__all__ = ["PlaceColumnsReader"]

_SECONDS = 30.0
"""Most of a statement on a server that describes columns: it waits for no rows."""


class PlaceColumnsReader:
    """Columns of the tables in place of one tenant.

    Args:
        tasks: what workers do with the tables.
        threads: threads of one inference of roles.
    """

    def __init__(self, tasks: PlaceTasks, *, threads: int) -> None:
        self._tasks = tasks
        self._threads = threads

    async def columns(self, source: str, table: str) -> Mapping[str, object]:
        """Return the columns of a table, as `cqox.contract.PlaceColumns`; no row is read.

        A cancellation ends the task of the worker and the statement on the server.

        Raises:
            NotFound: there is no such source or table, or not for this tenant.
            SourceDown: the source fails, or has failed repeatedly.
            BulkheadFull: too many requests wait for the source.
            UnusableData: the files cannot be analysed in place.
            QuotaExceeded: the tenant has used its CPU time of an hour.
        """
        record = await self._tasks.record(source, table)
        key = f"columns {record.dataset_id}"
        found = await self._tasks.run("columns", record, {}, key=key, seconds_left=until(_SECONDS))
        return {"source": source, "table": table, **found}

    async def roles(self, source: str, table: str, *, seconds: float = math.inf) -> Mapping[str, object]:
        """Return the suggested roles of a table, as `cqox.contract.Inference`, from sums over all rows and a sample.

        A cancellation ends the task of the worker and the statement on the server.

        Args:
            source: name of the source.
            table: one of its tables.
            seconds: how long the caller will wait.

        Raises:
            NotFound: there is no such source or table, or not for this tenant.
            SourceDown: the source fails, or has failed repeatedly.
            BulkheadFull: too many requests wait for the source.
            UnusableData: the files cannot be analysed in place.
            QuotaExceeded: the tenant has used its CPU time of an hour.
        """
        return await self.roles_of(await self._tasks.record(source, table), seconds=seconds)

    async def roles_of(self, record: PlaceRecord, *, seconds: float = math.inf) -> Mapping[str, object]:
        """Return the same of a table that no request can name."""
        found = await self._tasks.run(
            "infer", record, {"threads": self._threads}, key=f"roles {record.digest}", seconds_left=until(seconds)
        )
        return {"dataset_id": record.dataset_id, **found}
