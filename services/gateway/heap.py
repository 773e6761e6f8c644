"""Reuse of freed memory for bodies (glibc `mallopt`).

The bodies of an exchange lie at the end of the heap. glibc gives that end back to the system once a few are freed, and
the next exchange has a page fault for each of its pages, which costs up to a tenth of its CPU.
"""

import ctypes

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 16 * 2**20
"""Most free memory at the end of each heap; 16 connections have bodies of 150 KB twice."""
_OWN_MAPPING_BYTES = 2**20


def keep_freed_memory() -> None:
    """Keep up to 16 MiB of freed memory in this process; without effect unless the allocator is glibc's."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        # Each of them switches off that glibc raises the other one by itself.
        mallopt(_M_MMAP_THRESHOLD, _OWN_MAPPING_BYTES)
