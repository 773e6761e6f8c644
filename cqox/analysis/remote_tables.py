"""Tables in place that lie elsewhere, at a URL or in an object store: listed there, and copied to be summed here."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from anyio import CapacityLimiter

from cqox.analysis.mirror import Mirror
from cqox.contract.messages import Message
from cqox.errors import SourceDown, SourceUnavailable
from cqox.sources import Parts, Place, RemoteTable, SourceChanged, files_changed, listed, remote_address, suffixes_of
from cqox.threads import run_in_thread

__all__ = ["RemoteTables"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTables:
    """Tables that lie elsewhere.

    Attributes:
        mirror: their copies.
    """

    mirror: Mirror

    async def listed(self, place: Place, table: str, *, limiter: CapacityLimiter) -> RemoteTable:
        """Return what is there of a table.

        Args:
            place: a source with an address.
            table: one of its tables.
            limiter: of the threads that ask.

        Raises:
            SourceDown: there is nothing, or the server fails; of a caller's own address it is SourceUnavailable, with
                the words of the server.
            UnreadableFile: the files are no parts of one table.
            LimitExceeded: there are too many.
        """
        call = partial(listed, remote_address(place, table), suffixes=suffixes_of(place))
        try:
            found = await run_in_thread(call, limiter=limiter, abandon_on_cancel=True)
        except SourceUnavailable as error:
            raise _of_source(place, table, error) from error
        if found is None:
            raise SourceDown(Message("sources.no-files", source=place.name, table=table))
        return found

    @asynccontextmanager
    async def copied(
        self,
        place: Place,
        table: str,
        *,
        snapshot: str | None,
        limiter: CapacityLimiter,
        report: Callable[[Mapping[str, object]], None],
    ) -> AsyncIterator[Parts]:
        """Yield the files of the copy of a table, which stay there while the block runs.

        Args:
            place: a source with an address.
            table: one of its tables.
            snapshot: what the rows have to be of.
            limiter: of the threads that ask and copy.
            report: called with each step of the copy.

        Raises:
            SourceDown: see `listed`; also if the files were changed, of a caller's own address SourceChanged.
            LimitExceeded, BulkheadFull, StorageFull: there is no space for the copy.
        """
        found = await self.listed(place, table, limiter=limiter)
        if place.as_of is None and found.snapshot != snapshot:
            raise _changed(place, table)
        about = {"source": place.name, "table": table}
        async with AsyncExitStack() as stack:
            try:
                folder = await stack.enter_async_context(self.mirror.held(found, about, limiter=limiter, report=report))
            except SourceUnavailable as error:
                raise _of_source(place, table, error) from error
            yield found.copies(folder)


def _of_source(place: Place, table: str, error: SourceUnavailable) -> Exception:
    """Return the error of a source; that of an operator is shown without any address, and without words of a server."""
    if place.own:
        return error
    if isinstance(error, SourceChanged):
        return _changed(place, table)
    if error.__cause__ is None:
        return SourceDown(Message("sources.no-files", source=place.name, table=table))
    reason = type(error.__cause__).__name__
    return SourceDown(Message("sources.down", source=place.name, reason=reason), retry_after=error.retry_after)


def _changed(place: Place, table: str) -> SourceDown | SourceChanged:
    if place.own:
        return SourceChanged(Message("sources.changed-elsewhere", address=table))
    return files_changed(place, table)
