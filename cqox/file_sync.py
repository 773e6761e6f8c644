"""Flushes to the disk (`fsync`), at fault points: a simulated disk learns what is durable, and makes them fail."""

import os
from pathlib import Path

from cqox.fault_points import fault_point

__all__ = ["sync", "sync_handle"]


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk.

    Raises:
        OSError: it is missing, or the disk rejects it.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync_handle(handle)
    finally:
        os.close(handle)


def sync_handle(handle: int) -> None:
    """Flush an open file, or the entries of an open folder, to the disk.

    Args:
        handle: its descriptor; what a buffer of the program still holds is not flushed.

    Raises:
        OSError: the disk rejects it.
    """
    fault_point("disk.sync", handle)
    os.fsync(handle)
    fault_point("disk.synced", handle)
