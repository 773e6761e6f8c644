"""How fast a request's body must come: a client that stands still must not hold what others need.

A body is judged by the time that was spent waiting for its client, so that one whose reader is slow is not blamed.
Pure: it is handed its times.
"""

from collections import deque

from services.config.body_pace import BodyPace

__all__ = ["PaceWatch"]

_SLOTS = 16


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
