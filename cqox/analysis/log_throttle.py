"""What the log is told of something that is away: when it begins, now and then how much it costs, and when it is over.

Without this every request of an outage would write the same line, which buries all others.
"""

import logging
import time
from collections.abc import Callable

from cqox.contract import counted

__all__ = ["Outage"]

_EVERY_SECONDS = 30.0
_logger = logging.getLogger("cqox.analysis")


class Outage:
    """The failures of one kind of call.

    Args:
        what: what failed, as the summary has it, such as `The result store did not answer`.
        level: of the lines on failures.
        now: seconds on a clock that only goes forward.
    """

    def __init__(self, what: str, *, level: int = logging.WARNING, now: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._level = level
        self._now = now
        self._since = 0.0
        self._told_at = float("-inf")
        self._untold = 0
        self._failures = 0
        self._told = False

    def failed(self, message: str, *args: object) -> None:
        """Tell of a failure, the first of an outage in these words, and of the others in sums, twice a minute."""
        now = self._now()
        if not self._failures:
            self._since = now
        self._failures += 1
        self._untold += 1
        if now - self._told_at < _EVERY_SECONDS:
            return
        if self._told:
            _logger.log(self._level, "%s %s; the last: %s", self._what, self._repeats(), message % args)
        else:
            _logger.log(self._level, message, *args)
        self._told, self._told_at, self._untold = True, now, 0

    def _repeats(self) -> str:
        return counted(self._untold, "more time")

    def over(self) -> None:
        """Tell that a call has done what it was to do, where the log still says that none does."""
        if not self._failures:
            return
        if self._told:
            seconds = self._now() - self._since
            times = counted(self._failures, "time")
            _logger.info("%s %s in %.1f s, and that is over.", self._what, times, seconds)
            self._untold = 0
        self._failures, self._told = 0, False
