"""The clock of the process: monotonic seconds, and the time of day.

Everything that decides by time asks here, so that a simulation can give each of its processes a time of its own
(`cqox.chaos.simulation`). Without one, the functions are those of `time`. Measurements of elapsed CPU and wall time
that decide nothing, such as the seconds in a metric, may use `time.perf_counter`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["TimeSource", "installed", "monotonic", "now", "timestamp", "wall_time"]


class TimeSource(Protocol):
    """A source of both times."""

    def monotonic(self) -> float:
        """Return seconds that never decrease."""
        ...

    def time(self) -> float:
        """Return seconds since 1970-01-01 UTC."""
        ...


_source: TimeSource = time


def monotonic() -> float:
    """Return seconds that never decrease, since an arbitrary origin."""
    return _source.monotonic()


def wall_time() -> float:
    """Return seconds since 1970-01-01 UTC."""
    return _source.time()


def now() -> datetime:
    """Return the time of day, in UTC."""
    return datetime.fromtimestamp(_source.time(), UTC)


def timestamp() -> str:
    """Return the time of day in UTC as ISO 8601 with microseconds."""
    return now().isoformat(timespec="microseconds")


@contextmanager
def installed(source: TimeSource) -> Iterator[None]:
    """Use another source in this process while the block runs."""
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
