"""Files at a URL."""

import math
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit

from cqox.contract.messages import Message
from cqox.errors import SourceUnavailable
from cqox.resilience.retry.retry_after import retry_after_of
from cqox.sources.address import shown
from cqox.sources.budget import Budget
from cqox.sources.http_answers import answer_of
from cqox.sources.remote_file import RemoteFile, SourceChanged

__all__ = ["blocks_of_url", "download_url", "file_at", "file_name"]

_SECONDS, _BLOCK_SECONDS = 60.0, 20.0
_BLOCK_BYTES = 1 << 20
_MOST_WAIT_SECONDS = 3600.0
_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
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
        budget.copy(_blocks(address, answer), file)


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
        yield from _blocks(address, answer)


def _described(address: str, answer: HTTPResponse) -> RemoteFile:
    headers = answer.headers
    modified = headers.get("Last-Modified")
    return RemoteFile(
        key=file_name(address),
        size_bytes=None if _is_gzip(address, answer) else _length(answer),
        e_tag=headers.get("ETag"),
        modified=None if modified is None else _epoch(modified),
    )


def _length(answer: HTTPResponse) -> int | None:
    """Return the length that a server states; None without one.

    Raises:
        ConnectionError: it states several, so that the end of the file is unknown, or one that is no number.
    """
    stated = [each.strip() for line in answer.headers.get_all("Content-Length", []) for each in line.split(",")]
    if len(set(stated)) > 1 or not all(each.isascii() and each.isdigit() for each in stated):
        raise ConnectionError(Message("sources.url-lengths", lengths=shown(", ".join(stated))))
    # Chunks state their own lengths.
    return int(stated[0]) if stated and answer.headers.get("Transfer-Encoding") is None else None


def _is_gzip(address: str, answer: HTTPResponse) -> bool:
    """Return whether what arrives is the file in gzip.

    The content of a file whose name ends in `.gz` is that of the file, even if the server states gzip as its encoding.

    Raises:
        ConnectionError: it is in another encoding.
    """
    encoding = ", ".join(answer.headers.get_all("Content-Encoding", [])).strip().lower()
    if encoding in ("", "identity"):
        return False
    if encoding not in ("gzip", "x-gzip"):
        raise ConnectionError(Message("sources.url-encoding", encoding=shown(encoding)[:50]))
    return not file_name(address).lower().endswith((".gz", ".tgz"))


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
        wait = _wait(error)
        reason = _reason(error)
        if wait:
            reason = Message("sources.url-wait", reason=reason, seconds=math.ceil(wait))
        raise SourceUnavailable(
            Message("sources.not-fetched", address=shown(address), reason=reason), retry_after=wait
        ) from error


def _wait(error: Exception) -> float:
    """Return the seconds after which a server that is busy or limits requests may be asked again; 0.0 without any."""
    if not isinstance(error, HTTPError) or error.code not in _BUSY:
        return 0.0
    return min(retry_after_of(error) or 0.0, _MOST_WAIT_SECONDS)


def _reason(error: Exception) -> str:
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        return _reason(error.reason)
    if isinstance(error, IncompleteRead):
        return Message("sources.url-cut")
    if error.args and isinstance(error.args[0], Message):
        return error.args[0]
    return shown(" ".join(str(error).split())) or type(error).__name__


def _blocks(address: str, answer: HTTPResponse) -> Generator[bytes]:
    """Yield the file in an answer."""
    blocks = _content(answer, _length(answer))
    yield from _unzipped(blocks) if _is_gzip(address, answer) else blocks


def _content(answer: HTTPResponse, size_bytes: int | None) -> Generator[bytes]:
    """Yield the content of an answer; a shorter one than was announced is an error, which `read` alone would not be."""
    count = 0
    while block := answer.read1(_BLOCK_BYTES):
        count += len(block)
        yield block
    if size_bytes is not None and count != size_bytes:
        raise ConnectionError(Message("sources.url-cut"))


def _unzipped(blocks: Iterable[bytes]) -> Generator[bytes]:
    """Yield what gzip contains, in blocks however well it is compressed."""
    member = None
    try:
        for block in blocks:
            rest = block
            while rest:
                member = member or zlib.decompressobj(zlib.MAX_WBITS | 16)
                if found := member.decompress(rest, _BLOCK_BYTES):
                    yield found
                rest = member.unconsumed_tail
                if member.eof:
                    # Members follow one another, and zeros may fill the end.
                    rest, member = member.unused_data.lstrip(b"\0"), None
        while member is not None and not member.eof:
            found = member.decompress(b"", _BLOCK_BYTES)
            if not found and not member.eof:
                raise ConnectionError(Message("sources.url-cut"))
            yield found
    except zlib.error as error:
        raise ConnectionError(Message("sources.url-gzip")) from error
