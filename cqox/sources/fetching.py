"""Fetch a source to a file that every reader of CQOx takes. Blocking: for threads, not for event loops."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from cqox.contract import shortened
from cqox.contract.messages import Message
from cqox.errors import UnreadableFile
from cqox.sources.address import Query, Source, kind_of, path_of
from cqox.sources.databases import write_query
from cqox.sources.objects import download
from cqox.sources.urls import download_url

__all__ = ["Fetched", "fetch"]

_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A source on this machine.

    Attributes:
        path: a file, or a folder of files that belong together.
        name: for people, without passwords.
        own: False where it lay on this machine before, so that it must stay.
    """

    path: Path
    name: str
    own: bool


def fetch(source: Source, target: Path, *, max_bytes: int = _MOST_BYTES) -> Fetched:
    """Fetch a source; a path of this machine is returned as it is.

    Args:
        source: a path, an address, or a query.
        target: file or folder to make, which does not exist yet.
        max_bytes: the most that is fetched.

    Raises:
        UnreadableFile: the path is that of a pipe or a device.
        SourceUnavailable: it cannot be reached or read; the reason has no password.
        LimitExceeded: it is larger than the limit.
        InvalidRequest: the database refuses the query.
        UnreadableFile: the system refuses the path.
    """
    if isinstance(source, Query):
        write_query(source, target, max_bytes=max_bytes)
        return Fetched(path=target, name="query", own=True)
    if kind_of(source) == "file":
        path = path_of(source).absolute()
        _check_path(path)
        return Fetched(path=path, name=path.name, own=False)
    address = str(source)
    get = download_url if kind_of(address) == "url" else download
    get(address, target, max_bytes=max_bytes)
    name = PurePosixPath(unquote(urlsplit(address).path)).name or urlsplit(address).netloc.rpartition("@")[2]
    return Fetched(path=target, name=name, own=True)


def _check_path(path: Path) -> None:
    """Check that a path can be looked up and read twice; a missing file is for its reader to refuse.

    Raises:
        UnreadableFile: it is too long, below a folder that cannot be entered, or a pipe, which would wait for ever for
            one who writes to it, or a device.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableFile(Message("analysis.unreadable-file", path=shortened(str(path)), reason=reason)) from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        shown = os.fsencode(path).decode(errors="replace")
        raise UnreadableFile(Message("sources.no-regular-file", path=shown), field="data")
