"""Sliding windows over outcomes: pure counting, handed their time, O(1) for each outcome."""

from collections import deque

__all__ = ["CountWindow", "TimeWindow", "Window"]

_FAILED = 1
_SLOW = 2


class Window:
    """What was seen lately.

    Attributes:
        calls: outcomes in the window.
        failures: those that failed.
        slow: those that were slow, failed or not.
    """

    __slots__ = ("calls", "failures", "slow")

    def __init__(self) -> None:
        self.calls = self.failures = self.slow = 0

    def record(self, now: float, failed: bool, slow: bool) -> None:
        """Take one outcome in, and let go what has left the window."""
        raise NotImplementedError

    def expire(self, now: float) -> None:
        """Let go what has left the window by `now`."""
        raise NotImplementedError


class CountWindow(Window):
    """The last `size` outcomes, in a ring."""

    __slots__ = ("_next", "_ring", "size")

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self._ring = bytearray(size)
        self._next = 0

    def record(self, now: float, failed: bool, slow: bool) -> None:
        """See `Window.record`; time plays no part."""
        at = self._next
        if self.calls == self.size:
            oldest = self._ring[at]
            if oldest:
                self.failures -= oldest & _FAILED
                self.slow -= oldest >> 1
        else:
            self.calls += 1
        if failed or slow:
            self._ring[at] = failed + _SLOW * slow
            self.failures += failed
            self.slow += slow
        else:
            self._ring[at] = 0
        at += 1
        self._next = 0 if at == self.size else at

    def expire(self, now: float) -> None:
        """Nothing leaves by time."""

    def resized(self, size: int) -> "CountWindow":
        """A window of another size that has seen the same; the newest outcomes are kept."""
        other = CountWindow(size)
        start = self._next - self.calls
        for at in range(start + max(0, self.calls - size), self._next):
            code = self._ring[at % self.size]
            other.record(0.0, bool(code & _FAILED), bool(code & _SLOW))
        return other


class _Slice:
    __slots__ = ("calls", "failures", "slow", "tick")

    def __init__(self, tick: int) -> None:
        self.tick = tick
        self.calls = self.failures = self.slow = 0


class TimeWindow(Window):
    """The outcomes of the last `seconds`, kept in slices of a five-hundredth of that.

    An outcome is gone once it is `seconds` old, or at most one slice earlier.
    """

    __slots__ = ("_slices", "_width", "seconds")

    SLICES = 500

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self._width = seconds / self.SLICES
        self._slices: deque[_Slice] = deque()

    def record(self, now: float, failed: bool, slow: bool) -> None:
        """See `Window.record`. A time before that of the outcome before, as threads may hand it in, counts as equal."""
        tick = int(now // self._width)
        slices = self._slices
        if not slices or tick > slices[-1].tick:
            self._expire(tick)
            slices.append(_Slice(tick))
        newest = slices[-1]
        newest.calls += 1
        self.calls += 1
        if failed:
            newest.failures += 1
            self.failures += 1
        if slow:
            newest.slow += 1
            self.slow += 1

    def expire(self, now: float) -> None:
        """See `Window.expire`."""
        self._expire(int(now // self._width))

    def resized(self, seconds: float) -> "TimeWindow":
        """A window of another length that has seen the same, as far as this one reaches back."""
        other = TimeWindow(seconds)
        for old in self._slices:
            tick = int((old.tick + 0.5) * self._width // other._width)
            if not other._slices or tick > other._slices[-1].tick:
                other._slices.append(_Slice(tick))
            newest = other._slices[-1]
            for field in ("calls", "failures", "slow"):
                setattr(newest, field, getattr(newest, field) + getattr(old, field))
                setattr(other, field, getattr(other, field) + getattr(old, field))
        return other

    def _expire(self, tick: int) -> None:
        slices = self._slices
        oldest_kept = tick - self.SLICES + 1
        while slices and slices[0].tick < oldest_kept:
            gone = slices.popleft()
            self.calls -= gone.calls
            self.failures -= gone.failures
            self.slow -= gone.slow
