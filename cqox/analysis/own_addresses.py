"""A caller's own address of Parquet or CSV files, which are copied to this machine and summed or read there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import JsonValue

from cqox.analysis.datasets import Datasets
from cqox.analysis.places import PlaceRecord, Places
from cqox.analysis.source_datasets import add_parts
from cqox.analysis.workers import WorkerPool
from cqox.contract import AnalyzeRequest
from cqox.contract.messages import Message
from cqox.contract.request import MOST_OF_A_TABLE
from cqox.datasets import Limits
from cqox.errors import InvalidRequest, SourceDown
from cqox.sources import Parts, Place, RemoteTable, may_be_table, shown
from cqox.storage import DatasetRecord

__all__ = ["OwnAddresses"]

_SOURCE = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAddresses:
    """Addresses that a caller names.

    Attributes:
        pool: the worker processes.
        datasets: the data sets of the session.
        places: the tables in place of the session.
        limits: those of an upload, as settings of `cqox.datasets.Limits`.
    """

    pool: WorkerPool
    datasets: Datasets
    places: Places
    limits: Mapping[str, int]

    async def table(
        self,
        address: str,
        request: AnalyzeRequest,
        *,
        scratch: Path,
        read_options: Mapping[str, JsonValue],
        report: Callable[[Mapping[str, object]], None],
    ) -> DatasetRecord | None:
        """Return the table at an address: one to be summed where its copy is, or a data set that has been read.

        It is summed if `options.engine` is `duckdb`, beyond 150 million mapped cells where it is in parts, and beyond
        the limits of an upload; compressed text and text with partitions in parts always are.

        Args:
            address: a URL or an address in an object store.
            request: the request.
            scratch: path of a file that does not exist yet; nothing of it stays.
            read_options: of the file reader, which reads nothing in place.
            report: called with each step of the copy.

        Returns:
            The table; None where its kind of file is only read whole, or `options.engine` is `memory`.

        Raises:
            SourceUnavailable: it cannot be fetched, or was changed meanwhile.
            UnreadableFile: the files are no parts of one table.
            InvalidRequest: it has to be summed, and DuckDB is not installed, or `read_options` are given.
            LimitExceeded, StorageFull: there is no space for the copy.
        """
        if request.options.engine == "memory" or not may_be_table(address):
            return None
        place = Place(name=_SOURCE, kind="parquet", address=address, tables=(_shown(address),), own=True)
        try:
            found = await self.places.listed(place, place.tables[0])
        except SourceDown:
            # One file of another kind.
            return None
        if found.parts.format == "columnar":
            return None
        if found.parts.format == "text":
            place = Place(name=_SOURCE, kind="csv", address=address, tables=place.tables, own=True)
        if self._is_large(found) or request.options.engine == "duckdb":
            return await self._placed(place, read_options)
        copied = self.places.copied(place, place.tables[0], snapshot=found.snapshot, report=report)
        async with copied as parts:
            if not await self._fits(parts, request, is_single=not found.is_folder):
                return await self._placed(place, read_options)
            return await add_parts(
                self.datasets, self.pool, parts, is_folder=found.is_folder, name=Path(urlsplit(address).path).name,
                joined=scratch, read_options=read_options,
            )  # fmt: skip

    def _is_large(self, found: RemoteTable) -> bool:
        most = Limits(**self.limits).max_bytes
        is_joinable = not found.is_folder or found.parts.is_joinable
        return not is_joinable or (found.size_bytes or 0) > most

    async def _fits(self, parts: Parts, request: AnalyzeRequest, *, is_single: bool) -> bool:
        arguments: dict[str, object] = {
            "files": [str(each) for each in parts.files],
            "format": parts.format,
            "request": request.model_dump(mode="json"),
            "limits": dict(self.limits),
            "single": is_single,
        }
        return (await self.pool.run("fit", arguments)).body["in_memory"] is not False

    async def _placed(self, place: Place, read_options: Mapping[str, JsonValue]) -> PlaceRecord:
        if find_spec("duckdb") is None:
            raise InvalidRequest(Message("sources.needs-scale", table=place.tables[0]), field="data")
        if read_options:
            raise InvalidRequest(Message("client.read-in-place"), field="read")
        return await self.places.named(place, place.tables[0])


def _shown(address: str) -> str:
    """Return an address without user, password, query and fragment."""
    parts = urlsplit(address)
    plain = parts._replace(query="", fragment="").geturl()
    return shown(plain)[:MOST_OF_A_TABLE]
