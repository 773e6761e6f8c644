"""The log of a simulated run: every event with its time, and a digest of all of them."""

from collections import deque
from collections.abc import Callable, Iterator
from hashlib import blake2b

__all__ = ["EventLog"]


class EventLog:
    """Events in order. Two runs with the same digest took the same course.

    Args:
        now: returns the time of the run, in seconds.
        kept: how many of the last events to keep as text.

    Attributes:
        count: number of events so far.
    """

    def __init__(self, now: Callable[[], float], *, kept: int = 50) -> None:
        self._now = now
        self._digest = blake2b(digest_size=16)
        self._last = deque[str](maxlen=kept)
        self.count = 0

    def add(self, kind: str, *details: object) -> None:
        """Add an event; what its details say must be the same in every run of the seed."""
        line = f"{self._now():.6f} {kind}{''.join(f' {each}' for each in details)}"
        self._digest.update(line.encode("utf-8", "backslashreplace"))
        self._digest.update(b"\n")
        self._last.append(line)
        self.count += 1

    def note(self, text: str) -> None:
        """Add a line for the reader that is no part of the digest, such as a log record with a traceback."""
        self._last.append(f"{self._now():.6f} | {text}")

    @property
    def digest(self) -> str:
        """The digest of the events so far, hexadecimal."""
        return self._digest.hexdigest()

    def last(self) -> Iterator[str]:
        """Return the last events, oldest first."""
        return iter(self._last)
