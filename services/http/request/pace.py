"""Enforcement of the minimum transfer rate of a request body, so that stalled clients do not hold resources.

The rate counts only time spent waiting for the client, so that a slow reader in the service is not held against it.
Callers pass all times; the module reads no clock.
"""

from collections import deque

from services.config.body_pace import BodyPace

__all__ = ["PaceWatch"]

_SLOTS = 16


class PaceWatch:
    """The transfer rate of one body over a sliding window.

    Args:
        pace: the bounds.
        now: the time at which reading began, in seconds.
    """

    def __init__(self, pace: BodyPace, now: float) -> None:
        self._pace = pace
        self._end = now + pace.most_seconds
        self._waited = 0.0
        # Start and end of a slot, in seconds waited, and its bytes. Slots bound the number of entries for tiny chunks.
        self._slots: deque[list[float]] = deque()
        self.window_bytes = 0.0

    def take(self, size_bytes: int, waited: float) -> None:
        """Count a chunk.

        Args:
            size_bytes: its size.
            waited: time spent waiting for it, in seconds.
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
        """Return the seconds that the client may be waited for from now on; 0 or less where it is too slow."""
        return min(self._until_slow(), self._end - now)

    def is_over(self, now: float) -> bool:
        """Return whether the complete body has taken too long."""
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
