"""How fast a request's body must come: a client that stands still must not hold what others need.

A body is judged by the time that was spent waiting for its client, so that one whose reader is slow is not blamed.
Pure: it is handed its times.
"""

from collections import deque
from dataclasses import dataclass

__all__ = ["BodyPace", "PaceWatch"]

_SLOTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyPace:
    """The bounds on how slowly a body may come.

    Attributes:
        bytes_per_second: the least on average over any window; 0 bounds the pauses alone.
        window_seconds: the window, and so the longest pause; the first one is free.
        most_seconds: how long a whole body may take.
    """

    bytes_per_second: int = 1024
    window_seconds: float = 15.0
    most_seconds: float = 3600.0

    @property
    def window_bytes(self) -> float:
        """The least that must come within a window."""
        return max(1.0, self.bytes_per_second * self.window_seconds)


class PaceWatch:
    """What has come of one body, and how long its client may be waited for.

    Args:
        pace: the bounds.
        now: when the body began to be read, in seconds.
    """

    def __init__(self, pace: BodyPace, now: float) -> None:
        self._pace = pace
        self._end = now + pace.most_seconds
        self._waited = 0.0
        # Beginning and end of a slot, in seconds waited, and its bytes. Slots keep tiny pieces from being many entries.
        self._slots: deque[list[float]] = deque()
        self.window_bytes = 0.0

    def take(self, size_bytes: int, waited: float) -> None:
        """Count a piece.

        Args:
            size_bytes: its size.
            waited: how long it was waited for, in seconds.
        """
        self._waited += waited
        last = self._slots[-1] if self._slots else None
        if last is not None and self._waited - last[0] < self._pace.window_seconds / _SLOTS:
            last[1] = self._waited
            last[2] += size_bytes
        else:
            self._slots.append([self._waited, self._waited, float(size_bytes)])
        self.window_bytes += size_bytes
        while self._slots[0][1] <= self._waited - self._pace.window_seconds:
            self.window_bytes -= self._slots.popleft()[2]

    def patience(self, now: float) -> float:
        """How long the client may be waited for from now on, in seconds; 0 or less where it had its time."""
        return min(self._until_slow(), self._end - now)

    def is_over(self, now: float) -> bool:
        """Whether the whole body has taken too long."""
        return now >= self._end

    def _until_slow(self) -> float:
        window, need, left = self._pace.window_seconds, self._pace.window_bytes, self.window_bytes
        at = window
        for _, end, size_bytes in self._slots:
            if left < need:
                break
            left -= size_bytes
            at = max(at, end + window)
        return at - self._waited
