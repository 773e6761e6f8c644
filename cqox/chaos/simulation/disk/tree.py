"""A real folder read as nodes, and nodes written to a real folder."""

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress

from cqox.chaos.simulation.disk.namespace import Node

__all__ = ["content_of", "describe", "node_of", "read_tree", "write_tree"]

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


def content_of(path: str) -> bytes | None:
    """Return the content of a file; None where there is no readable one."""
    try:
        handle = os.open(path, _READ)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        return file.read()


def node_of(path: str) -> Node | None:
    """Return what is at a path, without entries and content that was synced; None where there is nothing."""
    try:
        about = os.lstat(path)
    except OSError:
        return None
    node = Node(_kind(about.st_mode))
    describe(node, about)
    if node.kind == "link":
        node.last = os.fsencode(os.readlink(path))
    return node


def describe(node: Node, about: os.stat_result) -> None:
    """Take mode and times of a file."""
    node.mode, node.times = stat.S_IMODE(about.st_mode), (about.st_atime_ns, about.st_mtime_ns)


def read_tree(root: str, is_opaque: Callable[[str], bool]) -> Node:
    """Return a folder with all that it holds as what is on the disk; sockets and pipes are left out.

    Args:
        root: the folder.
        is_opaque: returns whether the file at a relative path is left out.
    """
    top = node_of(root) or Node("folder", 0o700)
    _fill(top, root, "", is_opaque, {})
    return top


def _fill(
    folder: Node, path: str, place: str, is_opaque: Callable[[str], bool], linked: dict[tuple[int, int], Node]
) -> None:
    for name in sorted(os.listdir(path)):
        inner, below = f"{path}/{name}", f"{place}/{name}" if place else name
        about = os.lstat(inner)
        node = linked.get((about.st_dev, about.st_ino)) or node_of(inner)
        if node is None or node.kind == "other" or (node.kind != "folder" and is_opaque(below)):
            continue
        folder.entries[name] = folder.durable[name] = node
        if node.kind == "folder":
            _fill(node, inner, below, is_opaque, linked)
        elif node.kind == "file":
            node.synced = content_of(inner) or b""
            linked[about.st_dev, about.st_ino] = node


def write_tree(root: str, top: Node, contents: Mapping[Node, bytes], is_opaque: Callable[[str], bool]) -> None:
    """Make a real folder what the entries of a node say; what is opaque stays, with its folders.

    Args:
        root: the folder.
        top: its node.
        contents: the content of each file.
        is_opaque: returns whether the file at a relative path is left alone.
    """
    _clear(root, "", is_opaque)
    _write(root, top, contents, {})


def _clear(path: str, place: str, is_opaque: Callable[[str], bool]) -> bool:
    """Remove what a folder holds; return whether something stays."""
    stays = False
    for name in os.listdir(path):
        inner, below = f"{path}/{name}", f"{place}/{name}" if place else name
        kind = _kind(os.lstat(inner).st_mode)
        if kind == "folder":
            os.chmod(inner, 0o700)
            if _clear(inner, below, is_opaque):
                stays = True
            else:
                os.rmdir(inner)
        elif is_opaque(below):
            stays = True
        else:
            os.remove(inner)
    return stays


def _write(path: str, folder: Node, contents: Mapping[Node, bytes], written: dict[Node, str]) -> None:
    for name, node in sorted(folder.entries.items()):
        inner = f"{path}/{name}"
        if node.kind == "folder":
            with suppress(FileExistsError):
                os.mkdir(inner, 0o700)
            _write(inner, node, contents, written)
        elif node.kind == "link":
            os.symlink(os.fsdecode(node.last), inner)
        elif node in written:
            os.link(written[node], inner)
        else:
            with open(inner, "xb") as file:
                file.write(contents[node])
            os.chmod(inner, node.mode)
            os.utime(inner, ns=node.times)
            written[node] = inner
    os.chmod(path, folder.mode)
    os.utime(path, ns=folder.times)


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"
