"""Paths that a pattern such as `data/*/part-*.parquet` names, none of which is left out because a folder is closed.

`glob` takes a folder that cannot be listed for an empty one.
"""

import errno
import fnmatch
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cqox.contract import shortened
from cqox.contract.messages import Message
from cqox.errors import UnreadableFile

__all__ = ["matches", "not_listed"]

_ANY_FOLDERS = "**"


def matches(base: Path, pattern: Sequence[str], *, is_hidden: Callable[[Path], bool]) -> list[Path]:
    """Return the paths below a folder that a pattern names, but for hidden ones, in no order. Blocking.

    Args:
        base: the folder.
        pattern: the parts of the pattern below it, of which `**` stands for any folders.
        is_hidden: whether a path below the base is left out; it is not looked into.

    Raises:
        UnreadableFile: a folder that may have such paths cannot be listed.
    """
    found = glob.glob(str(Path(glob.escape(str(base)), *pattern)), recursive=True)
    for folder in _listed(base, pattern, is_hidden, set()):
        try:
            with os.scandir(folder):
                pass
        except (FileNotFoundError, NotADirectoryError):
            # It was removed meanwhile.
            continue
        except OSError as error:
            raise not_listed(folder, error) from error
    return [path for path in map(Path, found) if not is_hidden(path)]


def not_listed(path: Path, error: OSError) -> UnreadableFile:
    """Return the error of a folder that cannot be listed."""
    refused = Message(
        "analysis.unreadable-file", path=shortened(str(path)), reason=error.strerror or type(error).__name__
    )
    return UnreadableFile(refused, field="data")


def _listed(
    folder: Path, pattern: Sequence[str], is_hidden: Callable[[Path], bool], known: set[tuple[str, int]]
) -> Iterator[Path]:
    """Yield the folders that are listed to find what a pattern names, each before those in it."""
    where = (os.path.realpath(folder), len(pattern))
    if not pattern or where in known:
        return
    known.add(where)
    yield folder
    first, rest = pattern[0], pattern[1:]
    if first == _ANY_FOLDERS:
        yield from _listed(folder, rest, is_hidden, known)
    elif not rest:
        return
    for below in _folders(folder):
        if is_hidden(below):
            continue
        if first == _ANY_FOLDERS:
            yield from _listed(below, pattern, is_hidden, known)
        elif fnmatch.fnmatchcase(below.name, first):
            yield from _listed(below, rest, is_hidden, known)


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(each.path) for each in entries if _is_folder(each)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise not_listed(folder, error) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise not_listed(Path(entry.path), error) from error
