"""Single operations on files and folders that the standard library has in parts only."""

import os
import shutil
from pathlib import Path

from cqox.storage.private import private_opener

__all__ = ["link_or_copy", "remove", "stamp", "sync"]


def stamp(path: Path) -> tuple[int, int, int]:
    """What changes whenever the content of a file does: inode, size and time."""
    about = path.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns


def link_or_copy(name: str, target: Path, folder: int) -> None:
    """Give a file of an open folder another name, or copy it where the file system has no hard links."""
    try:
        os.link(name, target, src_dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:
        # A file system without hard links.
        source = os.open(name, os.O_RDONLY, dir_fd=folder)
        with os.fdopen(source, "rb") as reader, open(target, "xb", opener=private_opener) as writer:
            shutil.copyfileobj(reader, writer)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(folder: Path) -> None:
    """Remove a folder and what is in it, as far as the disk lets it."""
    shutil.rmtree(folder, ignore_errors=True)
