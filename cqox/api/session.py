"""The analyses of this process: one worker that stays warm from the first call to the end."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn, Self

from anyio import to_thread

from cqox.analysis.bounds import Bounds
from cqox.analysis.pools import open_pool
from cqox.api.portal import Call, OnStep, Portal
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

if TYPE_CHECKING:
    from pydantic import JsonValue

    from cqox.analysis.local import LocalAnalyses
    from cqox.frames import FrameKind
    from cqox.storage import DatasetRecord

__all__ = ["Session", "chosen", "dataset_of", "default_session"]

_OF_SERVERS = frozenset(
    {
        *("annotate", "annotation", "audit", "columns", "datasets", "delete_dataset", "delete_report"),
        *("erase_dataset", "erasure", "health", "job", "looks", "read_again", "report", "reports", "share"),
        *("shares", "sheets", "sources", "submit", "upload", "withdraw_share"),
    }
)


class Session:
    """Synchronous and asynchronous calls of `LocalAnalyses`, whose worker starts at the first of them.

    Args:
        bounds: resource limits; by default one computation at a time, a thread for each CPU, and no limit of memory.
    """

    def __init__(self, bounds: Bounds | None = None) -> None:
        limits = bounds or Bounds(
            analyses=1, threads=os.process_cpu_count() or 1, worker_memory_bytes=0, file_limits={}, standby=False
        )
        self._portal = Portal(lambda: _open(limits))

    def begin(self) -> None:
        """Start the worker if it does not run, without waiting: it loads while the caller prepares the call."""
        self._portal.begin()

    def start[T](self, work: "Callable[[LocalAnalyses, OnStep], Awaitable[T]]") -> Call[T]:
        """Start work in the session's event loop."""
        return self._portal.start(work)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    if not TYPE_CHECKING:  # Names are checked by type checkers.

        def __getattr__(self, name: str) -> NoReturn:
            if name in _OF_SERVERS:
                raise AttributeError(
                    f"cqox.Session has no {name!r}: it stores no reports and keeps no audit log, and what it holds "
                    f"ends with it. A server has them: cqox.Client(url).{name}(…)",
                    name=name,
                    obj=self,
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def close(self) -> None:
        """End the worker and delete what the session holds; the next call starts another."""
        self._portal.close()


@asynccontextmanager
async def _open(bounds: Bounds) -> "AsyncIterator[LocalAnalyses]":
    async with open_pool(bounds) as pool:
        # After the pool, whose process loads its numerics meanwhile.
        local = await to_thread.run_sync(import_module, "cqox.analysis.local")
        async with local.LocalAnalyses.open(bounds, pool) as analyses:
            yield analyses


async def dataset_of(
    analyses: "LocalAnalyses",
    data: object,
    read_options: "Mapping[str, JsonValue]",
    *,
    mapping: "Mapping[str, JsonValue] | None" = None,
    options: "Mapping[str, JsonValue] | None" = None,
    progress: OnStep = lambda _: None,
) -> "tuple[DatasetRecord, FrameKind | None]":
    """Read a frame, a file or another source as a data set; return it and the frame's kind, None for a source.

    Args:
        analyses: the analyses of the session.
        data: the data.
        read_options: of the file reader.
        mapping: of an analysis; files that are too large to be read for it stay where they are. None for suggested
            roles.
        options: of the analysis; of others, `engine`.
        progress: called with each step of a copy.

    What has been copied stays until `remove_copies` of the analyses.

    Raises:
        InputError: frame, source or option must be corrected.
    """
    from cqox.analysis.source_datasets import remove
    from cqox.frames import take
    from cqox.sources import parse

    source = parse(data)
    path = analyses.new_file()
    try:
        if source is not None:
            placed = await analyses.own_table(
                source, mapping=mapping or {}, options=options or {}, read_options=read_options, progress=progress
            )
            if placed is not None:
                return placed, None
            return await analyses.add_source(source, read_options=read_options), None
        taken = await to_thread.run_sync(take, data, path, abandon_on_cancel=True)
        record = await analyses.add(
            path, name=_FRAME_NAME, digest=taken.digest, size_bytes=taken.size_bytes, read_options=read_options
        )
        return record, taken.kind
    finally:
        remove(path)


_FRAME_NAME = "frame.arrow"
_default = Session()


def default_session() -> Session:
    """Return the session of this process."""
    return _default


def chosen(session: Session | None) -> Session:
    """Return a caller's session, by default that of this process.

    Raises:
        InvalidRequest: it is no session.
    """
    if session is not None and not isinstance(session, Session):
        raise InvalidRequest(Message("request.no-session", type=type(session).__name__), field="session")
    return session or default_session()
