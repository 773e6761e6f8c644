"""Evidence that a PostgreSQL server has stopped answering: the calls that it answered and those that it missed.

Invariant: one missed call of a second is no evidence, nor are several that were missed at one time. On a machine that
is short of CPU the server, a thread or the event loop is late now and then, and a server that counts as silent has its
callers refused after a second.
"""

import math
from collections.abc import Callable

import psycopg
from psycopg.rows import TupleRow

from cqox import clock

__all__ = ["ObservedCall", "Silence"]

type _Connection = psycopg.Connection[TupleRow]

_FAIR_SECONDS = 0.5
"""Time that a server must have had for its answer, in seconds."""

_LONG_SECONDS = 2.0
"""Time without an answer after which one call is evidence enough, in seconds."""

_MISSES = 2


class ObservedCall:
    """One call with the times at which the server was asked, and whether it has answered.

    A thread writes them; they are read once the call has ended. An error that the server sent is an answer, that of a
    call that was cancelled included: a statement that waits for a lock is slow, and its server is not silent.

    Args:
        seconds: timeout of the call.

    Attributes:
        began: when it was made, in seconds of the monotonic clock.
        ends_at: when it times out.
        asked_at: when its last attempt had a connection; infinity if none had.
        is_answered: whether the server answered that attempt, in time or not.
    """

    def __init__(self, seconds: float) -> None:
        self.began = clock.monotonic()
        self.ends_at = self.began + seconds
        self.asked_at = math.inf
        self.is_answered = False

    @property
    def is_asked(self) -> bool:
        """True once an attempt had a connection."""
        return self.asked_at < math.inf

    def observed[T](self, work: Callable[[_Connection], T]) -> Callable[[_Connection], T]:
        """Return `work` as a function that also notes when the server was asked, and its answer."""

        def observing(connection: _Connection) -> T:
            self.asked_at, self.is_answered = clock.monotonic(), False
            try:
                done = work(connection)
            except psycopg.Error as error:
                self.is_answered = error.sqlstate is not None
                raise
            self.is_answered = True
            return done

        return observing


class Silence:
    """Evidence that a server has stopped answering: two misses in a row, or one of two seconds. Any answer ends it."""

    def __init__(self) -> None:
        self._misses = 0
        self._missed_at = -math.inf

    def __bool__(self) -> bool:
        """Return whether the server counts as silent."""
        return self._misses >= _MISSES

    def answered(self) -> None:
        """Forget the misses."""
        self._misses = 0

    def missed(self, call: ObservedCall, *, exhausted: bool) -> None:
        """Weigh a call that has timed out.

        A timeout while waiting for a free connection is no evidence about the server, nor is one soon afterwards. An
        answer that this process was too late to take is evidence that it answers.

        Args:
            call: the call.
            exhausted: whether every connection is in use.
        """
        if call.is_answered:
            self.answered()
            return
        if not call.is_asked and exhausted:
            return
        asked_at = call.asked_at if call.is_asked else call.began
        waited = call.ends_at - asked_at
        if waited < _FAIR_SECONDS:
            return
        if waited >= _LONG_SECONDS:
            self._misses = _MISSES
        elif asked_at >= self._missed_at:
            self._misses += 1
        else:
            # It was missed at the time of another one.
            return
        self._missed_at = clock.monotonic()
