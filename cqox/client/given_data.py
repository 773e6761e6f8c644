"""Data that a caller gives, as the file that is uploaded and the id that it has on the server."""

import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread
from pydantic import JsonValue

from cqox.api.arguments import reading_options
from cqox.client.places import TableInPlace
from cqox.client.requests import check_text
from cqox.contract import DatasetDescription, DatasetSummary, dataset_id, file_digest, read_fields
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest
from cqox.frames import FrameKind, Taken, take
from cqox.sources import fetch, parse

__all__ = ["Given", "GivenFile", "given"]

_FRAME_NAME = "frame.arrow"
_DIGEST = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenFile:
    """A file to upload.

    Attributes:
        path: where it is.
        name: for people.
        size_bytes: its size.
        query: options of reading it, as the upload takes them.
    """

    path: Path
    name: str
    size_bytes: int
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Data on the server, or on their way to it.

    Attributes:
        dataset_id: the id that they have on the server; that of a table in place is its alone.
        file: what is uploaded if the server lacks them; None where an id or a table in place was given.
        kind: library of the frame; None where it was none.
        place: the table in place; None where data were given.
    """

    dataset_id: str
    file: GivenFile | None = None
    kind: FrameKind | None = None
    place: TableInPlace | None = None

    def named(self) -> Mapping[str, str]:
        """Return the members of a request that name them."""
        return {"dataset_id": self.dataset_id} if self.place is None else self.place.named()


@asynccontextmanager
async def given(data: object, read: Mapping[str, object] | None, *, name: str | None = None) -> AsyncIterator[Given]:
    """Yield data as a file with its id; a frame, or a source that was fetched, is a temporary file inside the block.

    Args:
        data: a frame or a source as in `cqox.analyze`, which is fetched here, or a data set of the server: its id, the
            name of a sample, or what an upload or a listing returned; or a table in place. A text that is no id and no
            name of a sample is an address.
        read: options of reading a file.
        name: of the data set, for people; the file's name by default.

    Raises:
        InputError: the frame or the source cannot be read.
    """
    known = _known(data)
    if known is not None:
        if read:
            of_place = Message("client.read-in-place")
            raise InvalidRequest(Message("client.read-without-file") if known.place is None else of_place, field="read")
        yield known
        return
    options, source = _options(read), parse(data)
    with tempfile.TemporaryDirectory(prefix="cqox-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder) / _FRAME_NAME
        if source is None:
            taken = await to_thread.run_sync(_taken, data, scratch, abandon_on_cancel=True)
            yield _given(taken.path, name or _FRAME_NAME, taken.digest, taken.size_bytes, options, taken.kind)
            return
        found = await to_thread.run_sync(fetch, source, scratch, abandon_on_cancel=True)
        if found.path.is_dir():
            raise InvalidRequest(Message("client.folder", path=found.name), field="data")
        digest, size_bytes = await to_thread.run_sync(file_digest, found.path, abandon_on_cancel=True)
        shown = name or os.fsencode(found.name).decode(errors="replace")
        yield _given(found.path, shown, digest, size_bytes, options)


def _given(
    path: Path,
    name: str,
    digest: str,
    size_bytes: int,
    options: Mapping[str, JsonValue],
    kind: FrameKind | None = None,
) -> Given:
    query = {
        key: ",".join(map(str, value)) if isinstance(value, list) else str(value) for key, value in options.items()
    }
    return Given(
        dataset_id=dataset_id(digest, options),
        file=GivenFile(path=path, name=name, size_bytes=size_bytes, query=query),
        kind=kind,
    )


def _taken(data: object, path: Path) -> Taken:
    """Write a frame as the file that is uploaded.

    Raises:
        ModuleNotFoundError: a package of the extra `client` is not installed.
    """
    try:
        return take(data, path)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(Message("client.no-package", package=error.name), name=error.name) from error


def _options(read: Mapping[str, object] | None) -> dict[str, JsonValue]:
    """Return options of reading as the server gets them from a query: text, and the list of `na`."""
    options = read_fields(reading_options(read))
    check_text(options)
    return options


def _known(data: object) -> Given | None:
    """Return what the server has already; None for data."""
    if isinstance(data, TableInPlace):
        return Given(dataset_id=f"source:{data.source}:{data.table}", place=data)
    known = _id_of(data)
    return None if known is None else Given(dataset_id=known)


def _id_of(data: object) -> str | None:
    """Return the id of a data set of the server; None for data."""
    if isinstance(data, DatasetDescription | DatasetSummary):
        return data.dataset_id
    if not isinstance(data, str):
        return None
    if _DIGEST.fullmatch(data):
        return data
    return data if _NAME.fullmatch(data) and not Path(data).exists() else None
