"""Who may go when, under a rate with a burst: pure arithmetic, handed its time.

A turn that was promised stands: who waits for it sleeps until then. So a turn that is given back cannot go to those who
wait behind it. It goes to whoever comes next, until its time has passed; were it paid back as a token, that one and the
last in the queue would go at once.
"""

from bisect import insort
from collections import deque
from copy import copy

from cqox.resilience.runtime.token_bucket import TokenBucket

__all__ = ["Gcra"]


class Gcra:
    """Turns at a rate, as many at once as the bucket holds; it starts full."""

    __slots__ = ("_bucket", "_cancelled", "_debt", "_reserved")

    def __init__(self, rate: float, capacity: float) -> None:
        """Args:
        rate: turns per second, above 0.
        capacity: turns that are saved up, at least 1.
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
        """Turns that are saved up at most."""
        return self._bucket.capacity

    def take(self, now: float) -> bool:
        """Take a turn now; False where there is none, or others wait."""
        if self._reserved:
            self._spend_due(now)
        return not self._reserved and self._bucket.take(now)

    def reserve(self, now: float, longest: float) -> float | None:
        """Take the next turn if it comes in at most `longest` seconds.

        Returns:
            When it is, `now` for at once; None where nothing was taken.
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
        """A turn that was promised is not needed."""
        self._spend_due(now)
        if turn not in self._reserved:
            self._bucket.add(1.0)
            return
        self._reserved.remove(turn)
        insort(self._cancelled, turn)
        self._forget_cancelled(now)

    def seconds_until(self, now: float) -> float:
        """Seconds until a turn that nobody has been promised."""
        return self._next(now) - now

    def level(self, now: float) -> float:
        """Turns that could be taken at once, less those that are promised.

        It changes nothing, so that a clock which is not the owner's, or NaN, does no harm.
        """
        bucket, waiting = copy(self._bucket), len(self._reserved)
        for turn in self._reserved:
            if not turn <= now:
                break
            bucket.spend(turn)
            waiting -= 1
        return bucket.level(now) - waiting

    def resize(self, now: float, *, rate: float, capacity: float) -> None:
        """Go on at another rate; what was promised stands, and what that is too much is paid for by who comes next."""
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
        # The last of those who wait takes the token that has just come.
        return self._reserved[-1] + (1.0 + self._debt) / self._bucket.rate

    def _spend_due(self, now: float) -> None:
        """Take out of the bucket what was promised for a time that has come."""
        while self._reserved and self._reserved[0] <= now:
            self._bucket.spend(self._reserved.popleft())
        self._forget_cancelled(now)

    def _forget_cancelled(self, now: float) -> None:
        while self._cancelled and self._cancelled[0] < now:
            self._cancelled.popleft()
        # Behind the last who waits, every turn is free in any case.
        while self._cancelled and (not self._reserved or self._cancelled[-1] > self._reserved[-1]):
            self._cancelled.pop()
