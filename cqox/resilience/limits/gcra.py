"""Generic cell rate algorithm with reservations: pure arithmetic; time is an argument.

A reserved turn is fixed, as its caller sleeps until then. So a cancelled turn cannot go to the calls queued behind it.
It goes to the next arrival until its time has passed; returned as a token, it would let that arrival and the last call
in the queue pass at the same time.
"""

from bisect import insort
from collections import deque
from copy import copy

from cqox.resilience.runtime.token_bucket import TokenBucket

__all__ = ["Gcra"]


class Gcra:
    """Turns at a rate, with a burst as large as the bucket; it starts full."""

    __slots__ = ("_bucket", "_cancelled", "_debt", "_reserved")

    def __init__(self, rate: float, capacity: float) -> None:
        """Args:
        rate: turns per second, above 0.
        capacity: size of the burst, at least 1.
        """
        self._bucket = TokenBucket(rate, capacity)
        self._reserved: deque[float] = deque()
        self._cancelled: deque[float] = deque()
        self._debt = 0.0

    @property
    def rate(self) -> float:
        """Turns per second."""
        return self._bucket.rate

    @property
    def capacity(self) -> float:
        """Size of the burst."""
        return self._bucket.capacity

    def take(self, now: float) -> bool:
        """Take a turn now; return False where none is available or other calls wait."""
        if self._reserved:
            self._spend_due(now)
        return not self._reserved and self._bucket.take(now)

    def reserve(self, now: float, longest: float) -> float | None:
        """Reserve the next turn if it comes within `longest` seconds.

        Returns:
            The time of the turn, `now` for an immediate one; None where none was reserved.
        """
        turn = self._next(now)
        if turn - now > longest:
            return None
        if self._cancelled and turn == self._cancelled[0]:
            self._cancelled.popleft()
        else:
            self._debt = 0.0
        if turn <= now:
            self._bucket.spend(now)
        else:
            insort(self._reserved, turn)
        return turn

    def cancel(self, now: float, turn: float) -> None:
        """Cancel a reserved turn."""
        self._spend_due(now)
        if turn not in self._reserved:
            self._bucket.add(1.0)
            return
        self._reserved.remove(turn)
        insort(self._cancelled, turn)
        self._forget_cancelled(now)

    def seconds_until(self, now: float) -> float:
        """Return the seconds until the next turn that is not reserved."""
        return self._next(now) - now

    def level(self, now: float) -> float:
        """Return the turns available now, less the reserved ones.

        It changes no state, so that another clock or NaN does no harm.
        """
        bucket, waiting = copy(self._bucket), len(self._reserved)
        for turn in self._reserved:
            if not turn <= now:
                break
            bucket.spend(turn)
            waiting -= 1
        return bucket.level(now) - waiting

    def resize(self, now: float, *, rate: float, capacity: float) -> None:
        """Change the rate and burst; reservations stay, and later turns pay for any excess."""
        self._spend_due(now)
        self._bucket.resize(now, rate=rate, capacity=capacity)
        self._cancelled.clear()
        bucket = copy(self._bucket)
        for turn in self._reserved:
            bucket.spend(turn)
        self._debt = max(0.0, -bucket.level(self._reserved[-1])) if self._reserved else 0.0

    def _next(self, now: float) -> float:
        self._spend_due(now)
        if not self._reserved:
            return now + self._bucket.seconds_until(now)
        if self._cancelled:
            return self._cancelled[0]
        # The last reserved turn takes the token that has just arrived.
        return self._reserved[-1] + (1.0 + self._debt) / self._bucket.rate

    def _spend_due(self, now: float) -> None:
        """Spend the tokens of reserved turns whose time has come."""
        while self._reserved and self._reserved[0] <= now:
            self._bucket.spend(self._reserved.popleft())
        self._forget_cancelled(now)

    def _forget_cancelled(self, now: float) -> None:
        while self._cancelled and self._cancelled[0] < now:
            self._cancelled.popleft()
        # After the last reserved turn, every turn is free in any case.
        while self._cancelled and (not self._reserved or self._cancelled[-1] > self._reserved[-1]):
            self._cancelled.pop()
