"""File and folder operations that the standard library offers only in parts."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from cqox.file_sync import sync, sync_handle
from cqox.storage.private import private_opener

__all__ = ["link_or_copy", "put_in_place", "remove", "stamp", "sync", "sync_handle"]


def stamp(path: Path) -> tuple[int, int, int]:
    """Return inode, size and modification time, which change with the content of a file."""
    about = path.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns


def link_or_copy(name: str, target: Path, folder: int) -> None:
    """Hard-link a file of an open folder, or copy it if the file system has no hard links."""
    try:
        os.link(name, target, src_dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:
        # A file system without hard links.
        source = os.open(name, os.O_RDONLY, dir_fd=folder)
        with os.fdopen(source, "rb") as reader, open(target, "xb", opener=private_opener) as writer:
            shutil.copyfileobj(reader, writer)


def put_in_place(scratch: Path, file: Path) -> None:
    """Give a file that is complete its name, in place of another one, so that a power failure leaves one of them whole.

    Raises:
        OSError: the disk rejects it.
    """
    sync(scratch)
    scratch.replace(file)
    # Some file systems flush no folders.
    with suppress(OSError):
        sync(file.parent)


def remove(folder: Path) -> None:
    """Remove a folder and its content as far as the disk permits."""
    shutil.rmtree(folder, ignore_errors=True)
