"""Receiving an uploaded file: streamed to disk within bounds, and removed on failure.

The engine's workers parse the content. The client's file name is a label and never used as a path.
"""

import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import trio
from anyio import CapacityLimiter

from cqox import randomness
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest
from cqox.threads import run_in_thread
from services.config.body_pace import BodyPace
from services.http.request.bodies import DEFAULT_PACE, chunks_of, too_large
from services.http.request.language import LANGUAGE_PARAMETER
from services.http.request.multipart import file_of_form

if TYPE_CHECKING:
    from cqox.storage import Writer
    from services.http.request.request import IncomingRequest

__all__ = ["FORM_BYTES", "Upload", "base_name", "receive_upload"]

FORM_BYTES = 2**20
"""The most bytes that a form may have in addition to its file."""

_WRITE_BYTES = 2**20
_DIGEST_BYTES = 16
_threads = CapacityLimiter(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A completely received file.

    Attributes:
        path: its path; removed at the end of the `receive_upload` block, unless it was moved.
        name: the client's file name without folders; `upload` where there is none.
        size_bytes: its size.
        digest: BLAKE2b of its bytes, 16 bytes in hexadecimal.
        fields: the query parameters and other fields of the form.
    """

    path: Path
    name: str
    size_bytes: int
    digest: str
    fields: Mapping[str, str]


@asynccontextmanager
async def receive_upload(
    request: "IncomingRequest",
    *,
    directory: Path,
    max_bytes: int,
    pace: BodyPace = DEFAULT_PACE,
    check_room: Callable[[], None] = lambda: None,
    writer: "Callable[[BinaryIO], Writer] | None" = None,
) -> AsyncIterator[Upload]:
    """Receive the file of a request: the `file` field of a multipart form, or else the raw body named by `?name=`.

    Cancellation, such as by a client's disconnect, removes the partial file.

    Args:
        request: the request.
        directory: an existing directory to write into, on the file system of the final file.
        max_bytes: the largest file that is accepted.
        pace: how slowly it may come.
        check_room: raises where the disk has no space for more; called in a thread with each block that is written.
        writer: makes what the bytes are written to of an open file, in a thread; the file itself by default.

    Raises:
        InvalidRequest: there is no file, or more than one, or the form is broken.
        LimitExceeded: the file is larger.
        RequestTimeout: it arrived too slowly (werkzeug's, 408).
        StorageFull: the disk is full, or its reserve would be used.
        StoreUnavailable: the disk is read-only or missing.
    """
    fields = _query_of(request)
    name = fields.pop("name", "")
    form = None
    if request.mimetype == "multipart/form-data":
        most = max_bytes + FORM_BYTES
        chunks = chunks_of(request, max_bytes=most, pace=pace, what="form")
        form = file_of_form(chunks, request.mimetype_params.get("boundary", ""))
        chunks = form.content()
    else:
        chunks = chunks_of(request, max_bytes=max_bytes, pace=pace, what="file")
    with _on_disk():
        handle, path = await run_in_thread(_create, directory, limiter=_threads)
    try:
        async with aclosing(chunks):
            size_bytes, digest = await _write(
                chunks, lambda: writer(handle) if writer else handle, max_bytes, check_room
            )
        if form is not None:
            name = name or form.filename
            fields |= form.fields
        if not size_bytes:
            raise InvalidRequest(Message("request.empty-file") if form else Message("request.empty-upload"))
        yield Upload(path=path, name=base_name(name), size_bytes=size_bytes, digest=digest, fields=fields)
    finally:
        with trio.CancelScope(shield=True):
            await run_in_thread(_remove, handle, path, limiter=_threads)


async def _write(
    chunks: AsyncGenerator[bytes], opened: "Callable[[], Writer | BinaryIO]", max_bytes: int, room: Callable[[], None]
) -> tuple[int, str]:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    size_bytes = 0
    with _on_disk():
        target = await run_in_thread(opened, limiter=_threads)

    def write(data: bytes) -> None:
        room()
        digest.update(data)
        target.write(data)

    pending = bytearray()
    async for data in chunks:
        size_bytes += len(data)
        if size_bytes > max_bytes:
            raise too_large("file", max_bytes)
        pending += data
        if len(pending) >= _WRITE_BYTES:
            with _on_disk():
                await run_in_thread(write, bytes(pending), limiter=_threads)
            pending.clear()

    def finish() -> None:
        write(bytes(pending))
        target.close()

    with _on_disk():
        await run_in_thread(finish, limiter=_threads)
    return size_bytes, digest.hexdigest()


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # Imported here, because the gateway uses a constant of this module and needs no store.
        from cqox.storage import unavailable

        raise unavailable(error) from error


def _query_of(request: "IncomingRequest") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, values in request.args.lists():
        if len(values) > 1:
            raise InvalidRequest(Message("request.repeated-in-query", count=len(values), name=key), field=key)
        found[key] = values[0]
    # It concerns the response.
    found.pop(LANGUAGE_PARAMETER, None)
    return found


def base_name(name: str) -> str:
    """Return the name of a file without folders and without characters that do not print; `upload` without any."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    clean = "".join(character for character in last if character.isprintable()).strip()
    return clean[:255] or "upload"


def _create(directory: Path) -> tuple[BinaryIO, Path]:
    path = directory / f"upload-{randomness.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0), path


def _remove(handle: BinaryIO, path: Path) -> None:
    handle.close()
    path.unlink(missing_ok=True)
