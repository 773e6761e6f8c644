"""File operations as audit events report them, with absolute paths.

The descriptor of the folder is no part of the event `open`: a relative name that is opened within a folder is not seen.
Links in paths are not followed.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["CHANGES", "READS", "Operation", "operation_of", "path_of"]

READS = frozenset({"read", "list"})
"""Operations that change nothing."""

CHANGES = frozenset(
    {
        "create",
        "exchange",
        "link",
        "make_folder",
        "open",
        "remove",
        "remove_folder",
        "rename",
        "set_mode",
        "set_times",
        "symlink",
        "sync",
        "truncate",
        "write",
    }
)
"""Operations that a disk may refuse as it refuses writes; `open` is that of an existing file for writing."""

_DELETED = " (deleted)"
_DESCRIPTORS = "/proc/self/fd/"
_WRITES = os.O_WRONLY | os.O_RDWR
_UNNAMED = getattr(os, "O_TMPFILE", 0)


@dataclass(frozen=True, slots=True)
class Operation:
    """One file operation, before it happens.

    Attributes:
        kind: one of `CHANGES` or `READS`, or `lock`.
        path: absolute path.
        target: absolute path of the new name, of `rename`, `link` and `exchange`.
        descriptor: of `lock`, `sync` and `write`, where the program gave one; -1 otherwise.
        value: what `lock` asks for; the size at which the file is cut off, -1 if it is not.
    """

    kind: str
    path: str
    target: str = ""
    descriptor: int = -1
    value: int = -1


def operation_of(event: str, arguments: tuple[object, ...]) -> Operation | None:
    """Return the file operation that an audit event reports; None where it is none."""
    reader = _READERS.get(event)
    return None if reader is None else reader(*arguments)


def path_of(descriptor: int) -> str | None:
    """Return the present path of an open file or folder; None where it has none, or is closed."""
    try:
        path = os.readlink(f"{_DESCRIPTORS}{descriptor}")
    except OSError:
        return None
    return None if path.endswith(_DELETED) or not path.startswith("/") else path


def _absolute(path: object, within: object = -1) -> str | None:
    if isinstance(path, int):
        return path_of(path)
    try:
        text = os.fsdecode(path)  # type: ignore[arg-type]
    except TypeError:
        return os.getcwd() if path is None else None
    if text.startswith(_DESCRIPTORS):
        return path_of(int(text.removeprefix(_DESCRIPTORS)))
    if not text.startswith("/"):
        folder = path_of(within) if isinstance(within, int) and within >= 0 else os.getcwd()
        if folder is None:
            return None
        text = f"{folder}/{text}"
    return os.path.normpath(text)


def _opened(path: object, _mode: object, flags: object) -> Operation | None:
    if isinstance(path, int) or not isinstance(flags, int):
        # An open descriptor becomes a file object.
        return None
    place = _absolute(path)
    if place is None:
        return None
    size = 0 if flags & os.O_TRUNC else -1
    if flags & os.O_CREAT or (_UNNAMED and flags & _UNNAMED == _UNNAMED):
        return Operation("create", place, value=size)
    return Operation("open" if flags & _WRITES else "read", place, value=size)


def _one(kind: str, within: int | None = None) -> Callable[..., Operation | None]:
    """Return the reader of an event whose first argument is a path, and another one the descriptor of its folder."""

    def read(path: object, *others: object) -> Operation | None:
        place = _absolute(path, -1 if within is None else others[within])
        return None if place is None else Operation(kind, place)

    return read


def _two(kind: str) -> Callable[..., Operation | None]:
    def read(path: object, target: object, within: object, target_within: object) -> Operation | None:
        place, other = _absolute(path, within), _absolute(target, target_within)
        return None if place is None or other is None else Operation(kind, place, other)

    return read


def _truncated(path: object, size: object) -> Operation | None:
    place = _absolute(path)
    return None if place is None or not isinstance(size, int) else Operation("truncate", place, value=size)


def _symlinked(_target: object, path: object, within: object) -> Operation | None:
    place = _absolute(path, within)
    return None if place is None else Operation("symlink", place)


def _locked(descriptor: object, value: object) -> Operation | None:
    place = _absolute(descriptor)
    if place is None or not isinstance(descriptor, int) or not isinstance(value, int):
        return None
    return Operation("lock", place, descriptor=descriptor, value=value)


_READERS: Mapping[str, Callable[..., Operation | None]] = {
    "fcntl.flock": _locked,
    "open": _opened,
    "os.chmod": _one("set_mode", 1),
    "os.link": _two("link"),
    "os.listdir": _one("list"),
    "os.mkdir": _one("make_folder", 1),
    "os.remove": _one("remove", 0),
    "os.rename": _two("rename"),
    "os.rmdir": _one("remove_folder", 0),
    "os.scandir": _one("list"),
    "os.symlink": _symlinked,
    "os.truncate": _truncated,
    "os.utime": _one("set_times", 2),
}
