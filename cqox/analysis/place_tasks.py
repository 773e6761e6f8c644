"""Tasks of worker processes that read a table in place and store nothing."""

from collections.abc import Callable, Mapping

import anyio

from cqox import randomness
from cqox.analysis.datasets import Datasets
from cqox.analysis.metered_pool import MeteredPool
from cqox.analysis.places import PlaceRecord, Places
from cqox.analysis.quarantine import Quarantine

__all__ = ["PlaceTasks", "until"]


class PlaceTasks:
    """Tasks on the tables in place of one tenant.

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

    async def record(self, source: str, table: str) -> PlaceRecord:
        """Return a table.

        Raises:
            NotFound: there is no such source or table, or not for this tenant.
            SourceDown: a folder cannot be read.
            QuotaExceeded: the tenant has used its CPU time of an hour.
        """
        self._places.find(self._tenant_id, source, table)
        self._pool.check()
        return await self._places.table(self._tenant_id, source, table)

    async def run(
        self,
        task: str,
        record: PlaceRecord,
        arguments: Mapping[str, object],
        *,
        key: str,
        seconds_left: Callable[[], float],
    ) -> Mapping[str, object]:
        """Return what a task finds in a table.

        A cancellation ends the task of the worker and the statement on the server.

        Args:
            task: name of the task.
            record: the table.
            arguments: of the task, other than those that name the table.
            key: of the quarantine.
            seconds_left: returns the time until the deadline of the caller, after which a statement on a server ends.

        Raises:
            InputError: the request or the table must be corrected.
            SourceDown: the source fails, or has failed repeatedly.
            BulkheadFull: too many requests wait for the source.
            QuotaExceeded: the tenant has used its CPU time of an hour.
        """
        self._pool.check()
        scratch = self._datasets.plain_scratch / f"place-{randomness.token_hex(8)}"
        async with (
            self._places.admitted(record),
            self._places.reading(record, scratch, seconds_left=seconds_left) as reading,
        ):
            given = {**reading.arguments, **arguments}
            reply = await self._quarantine.guard(key, lambda: self._pool.run(task, given, serve=reading.serve))
        return reply.body


def until(seconds: float) -> Callable[[], float]:
    """Return what says how much is left of some seconds that begin now."""
    end = anyio.current_time() + seconds
    return lambda: end - anyio.current_time()
