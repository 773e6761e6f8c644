"""Files at a URL."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit

from cqox.contract.messages import Message
from cqox.errors import SourceUnavailable
from cqox.sources.address import shown
from cqox.sources.budget import Budget
from cqox.sources.http_answers import answer_of
from cqox.sources.remote_file import RemoteFile, SourceChanged

__all__ = ["blocks_of_url", "download_url", "file_at", "file_name"]

_SECONDS, _BLOCK_SECONDS = 60.0, 20.0
_BLOCK_BYTES = 1 << 20
_WHOLE = (HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION)


def download_url(address: str, target: Path, *, max_bytes: int) -> None:
    """Write what is at a URL to a file; redirections are followed within HTTP and HTTPS.

    Args:
        address: `https://…` or `http://…`.
        target: the file to make.
        max_bytes: the most that is written.

    Raises:
        SourceUnavailable: it cannot be fetched.
        LimitExceeded: it is larger than the limit.
    """
    budget = Budget(address, max_bytes)
    with _opened(address, _SECONDS) as answer, target.open("xb") as file:
        budget.copy(_blocks(answer, _described(address, answer).size_bytes), file)


def file_name(address: str) -> str:
    """Return the name of the file at a URL, which its query is no part of."""
    return PurePosixPath(unquote(urlsplit(address).path)).name


def file_at(address: str) -> RemoteFile:
    """Return what a server says of the file at a URL.

    It is asked for the file, and left after its headers: addresses that are signed allow nothing else.

    Raises:
        SourceUnavailable: it cannot be fetched.
    """
    with _opened(address, _BLOCK_SECONDS) as answer:
        return _described(address, answer)


def blocks_of_url(address: str, file: RemoteFile) -> Generator[bytes]:
    """Yield the content of the file at a URL, as it arrives.

    Raises:
        SourceChanged: it is another file than the one that was described.
        SourceUnavailable: it cannot be fetched.
    """
    with _opened(address, _BLOCK_SECONDS) as answer:
        now = _described(address, answer)
        if not file.is_same(now) or file.is_identified != now.is_identified:
            raise SourceChanged(Message("sources.changed-elsewhere", address=shown(address)))
        yield from _blocks(answer, now.size_bytes)


def _described(address: str, answer: HTTPResponse) -> RemoteFile:
    headers = answer.headers
    size, modified = headers.get("Content-Length", ""), headers.get("Last-Modified")
    return RemoteFile(
        key=file_name(address),
        size_bytes=int(size) if size.isdecimal() else None,
        e_tag=headers.get("ETag"),
        modified=None if modified is None else _epoch(modified),
    )


def _epoch(date: str) -> int | None:
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except ValueError:
        return None


@contextmanager
def _opened(address: str, seconds: float) -> Iterator[HTTPResponse]:
    """Open a URL; failures of the server inside the context are SourceUnavailable, those of a disk as well."""
    try:
        with answer_of(address, silence_seconds=seconds) as answer:
            if answer.status not in _WHOLE:
                # Such as a part of the file (206) that nothing has asked for.
                raise ConnectionError(f"HTTP {answer.status} {answer.reason}, without the whole file")
            yield answer
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise SourceUnavailable(
            Message("sources.not-fetched", address=shown(address), reason=_reason(error))
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        return _reason(error.reason)
    if isinstance(error, IncompleteRead):
        return Message("sources.url-cut")
    if error.args and isinstance(error.args[0], Message):
        return error.args[0]
    return shown(" ".join(str(error).split())) or type(error).__name__


def _blocks(answer: HTTPResponse, size_bytes: int | None) -> Generator[bytes]:
    """Yield the content of an answer; a shorter one than was announced is an error, which `read` alone would not be."""
    count = 0
    while block := answer.read1(_BLOCK_BYTES):
        count += len(block)
        yield block
    if size_bytes is not None and count != size_bytes:
        raise ConnectionError(Message("sources.url-cut"))
