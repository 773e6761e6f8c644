"""A source as a data set: fetched by a thread, joined and read by a worker."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from anyio import CapacityLimiter
from pydantic import JsonValue

from cqox.analysis.datasets import Datasets
from cqox.analysis.workers import WorkerPool
from cqox.contract import file_digest, shortened
from cqox.contract.messages import Message
from cqox.errors import UnreadableFile
from cqox.sources import Parts, Source, fetch, parts_of
from cqox.storage import DatasetRecord
from cqox.threads import run_in_thread

__all__ = ["add_parts", "add_source", "remove"]


async def add_source(
    datasets: Datasets,
    pool: WorkerPool,
    source: Source,
    *,
    scratch: Path,
    name: str | None = None,
    read_options: Mapping[str, JsonValue],
    max_bytes: int | None = None,
    limiter: CapacityLimiter | None = None,
    owner: str | None = None,
) -> DatasetRecord:
    """Fetch a source and store it as a data set; the same bytes are the same data set.

    A cancellation returns at once, and leaves the thread that fetches until it has finished or failed.

    Args:
        datasets: the registry.
        pool: the worker processes.
        source: a path, an address or a query.
        scratch: path of a file that does not exist yet; nothing of it or next to it stays.
        name: name of the data set; that of the source if None.
        read_options: options of the file reader, as in an upload.
        max_bytes: the most that is fetched.
        limiter: of the threads that fetch.
        owner: the subject that registers it.

    Raises:
        InputError: the source cannot be fetched or read.
        UnreadableFile: a file of this machine was changed before it had been read; nothing is stored.
    """
    joined = scratch.with_name(f"{scratch.name}-joined")
    limit = {} if max_bytes is None else {"max_bytes": max_bytes}
    try:
        found = await run_in_thread(lambda: fetch(source, scratch, **limit), abandon_on_cancel=True, limiter=limiter)
        file = found.path
        parts = await run_in_thread(parts_of, file, abandon_on_cancel=True, limiter=limiter)
        files = [file] if parts is None else list(parts.files)
        before = await run_in_thread(_facts, files, abandon_on_cancel=True)
        if parts is not None:
            parts.check_joinable()
            await _join(pool, parts, joined)
            file = joined
        digest, size_bytes = await run_in_thread(file_digest, file, abandon_on_cancel=True)
        shown = name or os.fsencode(found.name).decode(errors="replace")
        changed = UnreadableFile(Message("sources.own-changed", table=shortened(shown)), field="data")

        async def check() -> None:
            if await run_in_thread(_facts, files, abandon_on_cancel=True) != before:
                raise changed

        await check()
        # A joined file is a copy.
        return await datasets.add(
            file, name=shown, content_digest=digest, size_bytes=size_bytes, options=read_options, owner=owner,
            check=check if parts is None else None,
        )  # fmt: skip
    finally:
        remove(scratch)
        remove(joined)


async def add_parts(
    datasets: Datasets,
    pool: WorkerPool,
    parts: Parts,
    *,
    is_folder: bool,
    name: str,
    joined: Path,
    read_options: Mapping[str, JsonValue],
) -> DatasetRecord:
    """Store the parts of a table as a data set.

    Args:
        datasets: the registry.
        pool: the worker processes.
        parts: the files, which can be joined.
        is_folder: whether they are joined; one file is read as it is.
        name: name of the data set.
        joined: path of a file that does not exist yet; nothing of it stays.
        read_options: options of the file reader, as in an upload.

    Raises:
        InputError: a file cannot be read.
    """
    try:
        if is_folder:
            await _join(pool, parts, joined)
        file = joined if is_folder else parts.files[0]
        digest, size_bytes = await run_in_thread(file_digest, file, abandon_on_cancel=True)
        return await datasets.add(file, name=name, content_digest=digest, size_bytes=size_bytes, options=read_options)
    finally:
        remove(joined)


def _facts(files: Sequence[Path]) -> list[tuple[int, int, int] | None]:
    """Return what is different of a file that was written meanwhile; None for one that is not there."""

    def facts(file: Path) -> tuple[int, int, int] | None:
        try:
            found = file.stat()
        except (OSError, ValueError):
            return None
        return found.st_size, found.st_mtime_ns, found.st_ino

    return [facts(file) for file in files]


async def _join(pool: WorkerPool, parts: Parts, joined: Path) -> None:
    files = [str(each) for each in parts.files]
    partitions = {name: list(values) for name, values in parts.partitions.items()}
    await pool.run(
        "join", {"files": files, "partitions": partitions, "format": parts.format, "path": str(joined)}
    )  # fmt: skip


def remove(path: Path) -> None:
    """Remove a file or a folder; nothing where there is none."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
