"""Start of the threads by which polars reads and writes tables.

polars starts each kind of them when it first needs one, in the middle of a table. A process whose memory is limited may
be refused a thread by then, and polars waits for ever for the work of one that has failed to start.
"""

import os

import polars as pl

__all__ = ["start_reader_threads"]

_LINE = b"1\n"
# A file of less than a mebibyte is unmapped without the thread for that.
_LINES = 1024 * 1024 // len(_LINE)


def start_reader_threads() -> None:
    """Read a small table, so that every later one finds the threads running.

    Do nothing where the system has no files in memory, or refuses them as a hardened one may: a worker that waits for
    ever is ended in any case, see `cqox.analysis.workers.stillness`.
    """
    try:
        handle = os.memfd_create("cqox-read")
    except (AttributeError, OSError):
        return
    with os.fdopen(handle, "wb", buffering=0) as source:
        source.write(_LINE * _LINES)
        # The search for the types, which are not given here, is what maps the file.
        pl.scan_csv(f"/proc/self/fd/{source.fileno()}", has_header=False).head(1).collect(engine="streaming")
