"""Throttled logging of an outage: its first failure, periodic summaries, and the recovery.

Otherwise every request during an outage would log the same line.
"""

import logging
from collections.abc import Callable

from cqox import clock
from cqox.contract import counted

__all__ = ["Outage"]

_EVERY_SECONDS = 30.0
_logger = logging.getLogger("cqox.analysis")


class Outage:
    """Failures of one kind of call.

    Args:
        what: description of the failure in summaries, such as `The result store did not answer`.
        level: log level of failures.
        now: monotonic clock, in seconds.
    """

    def __init__(self, what: str, *, level: int = logging.WARNING, now: Callable[[], float] = clock.monotonic) -> None:
        self._what = what
        self._level = level
        self._now = now
        self._since = 0.0
        self._logged_at = float("-inf")
        self._suppressed = 0
        self._failures = 0
        self._logged = False

    def failed(self, message: str, *args: object) -> None:
        """Log the first failure of an outage with this message, and a summary of later ones twice a minute."""
        now = self._now()
        if not self._failures:
            self._since = now
        self._failures += 1
        self._suppressed += 1
        if now - self._logged_at < _EVERY_SECONDS:
            return
        if self._logged:
            _logger.log(self._level, "%s %s; the last: %s", self._what, self._repeats(), message % args)
        else:
            _logger.log(self._level, message, *args)
        self._logged, self._logged_at, self._suppressed = True, now, 0

    def _repeats(self) -> str:
        return counted(self._suppressed, "more time")

    def recovered(self) -> None:
        """Log the recovery, if a failure was logged, after a successful call."""
        if not self._failures:
            return
        if self._logged:
            seconds = self._now() - self._since
            times = counted(self._failures, "time")
            _logger.info("%s %s in %.1f s; it has recovered.", self._what, times, seconds)
            self._suppressed = 0
        self._failures, self._logged = 0, False
