"""Tables in place that requests may name; each source has a circuit and slots of its own, shared by all tenants.

A worker has no network and no address: it asks for statements, and a thread of the engine runs them. A request that is
cancelled, or whose deadline passes, ends the statement on the server.
"""

import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import rmtree
from threading import Lock

import anyio
from anyio import CapacityLimiter

from cqox import randomness
from cqox.analysis.datasets import Datasets
from cqox.analysis.key import canonical_json, digest
from cqox.analysis.mirror import Mirror
from cqox.analysis.remote_tables import RemoteTables
from cqox.analysis.workers import Serve
from cqox.contract import AnalyzeRequest, near_words, shortened
from cqox.contract.messages import Message
from cqox.errors import CircuitOpen, NotFound, SourceDown, UnreadableFile, UnusableData
from cqox.resilience import Bulkhead, CircuitBreaker
from cqox.sources import (
    Parts,
    Place,
    PostgresSession,
    RemoteTable,
    files_changed,
    files_of,
    folder_of,
    partitions_of,
    snapshot_of,
)
from cqox.storage import DatasetRecord
from cqox.threads import run_in_thread

__all__ = ["PlaceRecord", "Places", "Reading", "provenance_of"]

_logger = logging.getLogger("cqox.analysis.places")
_FAILURES, _RECOVERY_SECONDS = 3, 10.0
_MOST_QUEUED = 16
_THREADS = 16
"""Of one source: a server that does not answer holds a thread after its request, and none that another source needs."""
_SLACK_SECONDS = 1.0
"""The server ends a statement this much later than the caller, so that the caller's deadline is what is reported."""
_END_SECONDS = 5.0

type OnStep = Callable[[Mapping[str, object]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRecord(DatasetRecord):
    """A table in place, in the form of a data set.

    Attributes:
        place: its source.
        table: its name.
        snapshot: what identifies its rows; None where nothing does.
    """

    place: Place = field(repr=False)
    table: str
    snapshot: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Arguments and answers by which a worker reads a table in place.

    Attributes:
        arguments: of its task.
        serve: answers its questions; None where it has none.
    """

    arguments: Mapping[str, object]
    serve: Serve | None


class Places:
    """The sources of tables in place of one engine.

    Args:
        places: the sources by name.
        mirror: copies of tables that are not on the disk of the engine; None where no source has any.
    """

    def __init__(self, places: Mapping[str, Place], mirror: Mirror | None = None) -> None:
        self._places = dict(places)
        self._remote = None if mirror is None else RemoteTables(mirror=mirror)
        self._limiters: dict[str, CapacityLimiter] = {}
        self._slots = {
            name: Bulkhead(place.most_concurrent, _MOST_QUEUED, name=f"source {name}") for name, place in places.items()
        }
        self._circuits = {
            name: CircuitBreaker(f"source {name}", _FAILURES, _RECOVERY_SECONDS, failures=(SourceDown,))
            for name in places
        }

    def of_tenant(self, tenant_id: str) -> list[Place]:
        """Return the sources that a tenant may read."""
        return [place for place in self._places.values() if place.tenants is None or tenant_id in place.tenants]

    def find(self, tenant_id: str, name: str, table: str) -> Place:
        """Return the source of this name, which has the table.

        Raises:
            NotFound: there is no such source or table, or not for this tenant.
        """
        mine = {place.name: place for place in self.of_tenant(tenant_id)}
        place = mine.get(name)
        if place is None:
            near = [*near_words(name, list(mine)), *mine]
            raise NotFound(
                Message("sources.no-place", source=shortened(name)), field="source", choices=list(dict.fromkeys(near))
            )
        if table not in place.tables:
            near = [*near_words(table, place.tables), *place.tables]
            raise NotFound(
                Message("sources.no-table", source=name, table=shortened(table)),
                field="table",
                choices=list(dict.fromkeys(near)),
            )
        return place

    async def record_of(self, tenant_id: str, request: AnalyzeRequest, datasets: Datasets) -> DatasetRecord:
        """Return the table in place that a request names, or else its data set.

        Raises:
            NotFound: there is none of that name for this tenant.
            SourceDown: a folder cannot be read.
        """
        if request.source is None:
            return await datasets.get_for_analysis(request.dataset_id)
        return await self.table(tenant_id, request.source, str(request.table))

    async def table(self, tenant_id: str, source: str, table: str) -> PlaceRecord:
        """Return a table in place with a digest of its snapshot; without one, with a new digest.

        Raises:
            NotFound: there is none of that name for this tenant.
            SourceDown: a folder cannot be read.
            UnusableData: an Iceberg table has no rows yet, or what is not read here.
        """
        return await self.named(self.find(tenant_id, source, table), table)

    async def named(self, place: Place, table: str) -> PlaceRecord:
        """Return a table of a source as `table` does; the source need not be one of this engine.

        Raises:
            SourceDown: a folder cannot be read.
        """
        if place.is_remote and place.as_of is None:
            # Its failures count, and a server that has failed is not asked; it needs no slot.
            async with self._counted(place):
                snapshot = (await self.listed(place, table)).snapshot
        else:
            snapshot = await self._in_thread(place, snapshot_of, place, table)
        known: list[object] = ["in place", place.name, table, place.key, snapshot or randomness.token_hex(16)]
        known += [dict(place.types)] if place.types else []
        return PlaceRecord(
            dataset_id=f"source:{place.name}:{table}", digest=digest(canonical_json(known)), name=table, rows=0,
            columns=0, size_bytes=0, created_at="", sample=False, description=b"", place=place, table=table,
            snapshot=snapshot,
        )  # fmt: skip

    async def listed(self, place: Place, table: str) -> RemoteTable:
        """Return what is there of a table whose files are not on the disk of the engine.

        Raises:
            SourceDown: see `RemoteTables.listed`, as for the other errors.
        """
        return await self._elsewhere.listed(place, table, limiter=self._threads(place))

    def copied(
        self, place: Place, table: str, *, snapshot: str | None, report: OnStep
    ) -> AbstractAsyncContextManager[Parts]:
        """Return the copy of such a table, as `RemoteTables.copied` does."""
        return self._elsewhere.copied(place, table, snapshot=snapshot, limiter=self._threads(place), report=report)

    @property
    def _elsewhere(self) -> RemoteTables:
        assert self._remote is not None
        return self._remote

    @asynccontextmanager
    async def admitted(self, record: DatasetRecord) -> AsyncIterator[None]:
        """Hold a slot of a record's source while the block runs, whose failures its circuit counts.

        Raises:
            BulkheadFull: too many requests wait for the source.
            SourceDown: it has failed repeatedly, and is not asked again yet.
        """
        if not isinstance(record, PlaceRecord) or record.place.own:
            # A caller's own files are no service that could be overloaded.
            yield
            return
        async with self._slots[record.place.name], self._counted(record.place):
            yield

    @asynccontextmanager
    async def _counted(self, place: Place) -> AsyncIterator[None]:
        """Count failures of the block, which does not run where there were too many."""
        if place.name not in self._circuits:
            yield
            return
        try:
            async with self._circuits[place.name]:
                yield
        except CircuitOpen as error:
            seconds = max(1, math.ceil(error.retry_after))
            raise SourceDown(
                Message("sources.resting", source=place.name, seconds=seconds), retry_after=seconds
            ) from None

    @asynccontextmanager
    async def reading(
        self,
        record: PlaceRecord,
        scratch: Path,
        *,
        seconds_left: Callable[[], float],
        report: OnStep = lambda _: None,
    ) -> AsyncIterator[Reading]:
        """Yield what a worker needs to read a table; the statement that runs ends with the block.

        Args:
            record: the table.
            scratch: path of a folder that does not exist yet; nothing of it stays.
            seconds_left: returns the time until the deadline of the callers.
            report: called with each step of a copy.

        Raises:
            SourceDown: the source fails, or its files were changed meanwhile.
            LimitExceeded, BulkheadFull, StorageFull: there is no space for a copy.
        """
        place = record.place
        about: dict[str, object] = {
            "source": place.name,
            "table": record.table,
            "key": place.key,
            "snapshot": record.snapshot,
        }
        session: _Session | None = None
        await self._in_thread(place, partial(scratch.mkdir, mode=0o700))
        copies = AsyncExitStack()
        try:
            if place.is_remote:
                parts = await copies.enter_async_context(
                    self.copied(place, record.table, snapshot=record.snapshot, report=report)
                )
                about |= _files(place, parts.files, parts.partitions)
            elif place.kind == "iceberg":
                folder = await self._in_thread(place, folder_of, place, record.table)
                about |= {"format": place.kind, "folder": str(folder.absolute()), "own": place.own}
            elif place.kind != "postgres":
                files = await self._in_thread(place, files_of, place, record.table)
                found = await self._in_thread(place, partitions_of, place, record.table, files)
                about |= _files(place, files, found)
            else:
                session = _Session(place, seconds_left, self._threads(place))
            try:
                yield Reading(
                    arguments={"place": about, "folder": str(scratch)}, serve=None if session is None else session.serve
                )
            except (UnreadableFile, UnusableData):
                # What looks like a damaged file may be one that was being written.
                await self._check_unchanged(record)
                raise
            await self._check_unchanged(record)
        except SourceDown as error:
            if not place.own:
                _logger.warning("%s", error)
            raise
        finally:
            with anyio.move_on_after(_END_SECONDS, shield=True):
                await copies.aclose()
                if session is not None:
                    await session.end()
                await self._in_thread(place, partial(rmtree, scratch, ignore_errors=True))

    async def _check_unchanged(self, record: PlaceRecord) -> None:
        """Check that files are what they were before they were read.

        Raises:
            SourceDown: they are not.
        """
        place = record.place
        # Of an Iceberg table, the files of a snapshot do not change while it has others.
        if place.kind in ("postgres", "iceberg") or place.is_remote:
            return
        if await self._in_thread(place, snapshot_of, place, record.table) != record.snapshot:
            raise files_changed(place, record.table)

    async def _in_thread[*Given, T](self, place: Place, call: Callable[[*Given], T], *given: *Given) -> T:
        return await run_in_thread(call, *given, limiter=self._threads(place), abandon_on_cancel=True)

    def _threads(self, place: Place) -> CapacityLimiter:
        # It belongs to the event loop in which it is made.
        if place.name not in self._limiters:
            self._limiters[place.name] = CapacityLimiter(_THREADS)
        return self._limiters[place.name]


def _files(place: Place, files: Sequence[Path], partitions: Mapping[str, Sequence[str | None]]) -> dict[str, object]:
    """Return the arguments by which a worker opens files."""
    return {
        "files": [str(path.absolute()) for path in files],
        "partitions": {name: list(values) for name, values in partitions.items()},
        "format": place.kind,
        "types": dict(place.types),
        "own": place.own,
        "copied": place.is_remote,
    }


def provenance_of(record: DatasetRecord) -> dict[str, object]:
    """Return the members of a report's provenance that say where its rows were; none for a data set."""
    if not isinstance(record, PlaceRecord):
        return {}
    return {"source": record.place.name, "table": record.table, "snapshot": record.snapshot}


class _Session:
    """The statements of one task on one server, each in a thread; the first one connects."""

    def __init__(self, place: Place, seconds_left: Callable[[], float], limiter: CapacityLimiter) -> None:
        self._place = place
        self._seconds_left = seconds_left
        self._limiter = limiter
        self._lock = Lock()
        self._session: PostgresSession | None = None
        self._is_busy = self._has_ended = False

    async def serve(self, question: Mapping[str, object]) -> bytes:
        """Answer a question of the worker; a cancellation leaves the thread, whose statement `end` cancels."""
        seconds = self._seconds_left() + _SLACK_SECONDS
        return await run_in_thread(
            partial(self._answer, question, seconds), limiter=self._limiter, abandon_on_cancel=True
        )

    async def end(self) -> None:
        """Cancel the statement that runs, and close the connection."""
        with self._lock:
            self._has_ended = True
            session, is_busy = self._session, self._is_busy
        if session is not None:
            # A connection in use is closed by the thread that uses it.
            call = session.cancel if is_busy else session.close
            await run_in_thread(call, abandon_on_cancel=True)

    def _answer(self, question: Mapping[str, object], seconds: float) -> bytes:
        session = self._session or PostgresSession.opened(self._place)
        with self._lock:
            self._session, self._is_busy = session, True
            has_ended = self._has_ended
        try:
            return b"" if has_ended else session.answer(question, seconds=seconds)
        finally:
            with self._lock:
                self._is_busy = False
                has_ended = self._has_ended
            if has_ended:
                session.close()
