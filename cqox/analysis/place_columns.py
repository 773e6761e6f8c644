"""Names and kinds of the columns of tables in place, read in a worker process; no row is read, nothing is stored."""

from collections.abc import Mapping

import anyio

from cqox import randomness
from cqox.analysis.datasets import Datasets
from cqox.analysis.metered_pool import MeteredPool
from cqox.analysis.places import Places
from cqox.analysis.quarantine import Quarantine

__all__ = ["PlaceColumnsReader"]

_SECONDS = 30.0
"""Most of a statement on a server: a description of columns waits for no rows."""


class PlaceColumnsReader:
    """Columns of the tables in place of one tenant.

    Args:
        pool: the worker processes.
        places: the tables in place.
        datasets: the data sets of the tenant, for their folder of scratch files.
        quarantine: keys rejected after repeated worker crashes.
        tenant_id: the tenant.
    """

    def __init__(
        self, *, pool: MeteredPool, places: Places, datasets: Datasets, quarantine: Quarantine, tenant_id: str
    ) -> None:
        self._pool = pool
        self._places = places
        self._datasets = datasets
        self._quarantine = quarantine
        self._tenant_id = tenant_id

    async def columns(self, source: str, table: str) -> Mapping[str, object]:
        """Return the columns of a table, as `cqox.contract.PlaceColumns`.

        A cancellation ends the task of the worker and the statement on the server.

        Raises:
            NotFound: there is no such source or table, or not for this tenant.
            SourceDown: the source fails, or has failed repeatedly.
            BulkheadFull: too many requests wait for the source.
            UnusableData: the files cannot be analysed in place.
            QuotaExceeded: the tenant has used its CPU time of an hour.
        """
        self._places.find(self._tenant_id, source, table)
        self._pool.check()
        record = await self._places.table(self._tenant_id, source, table)
        scratch = self._datasets.plain_scratch / f"place-{randomness.token_hex(8)}"
        end = anyio.current_time() + _SECONDS
        async with (
            self._places.admitted(record),
            self._places.reading(record, scratch, seconds_left=lambda: end - anyio.current_time()) as reading,
        ):
            task = dict(reading.arguments)
            reply = await self._quarantine.guard(
                f"columns {record.dataset_id}", lambda: self._pool.run("columns", task, serve=reading.serve)
            )
        return {"source": source, "table": table, **reply.body}
