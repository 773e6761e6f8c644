"""Availability of a vault: the reason and begin of an outage, and the end of what the vault has issued."""

import logging
from collections.abc import Callable
from threading import Lock
from typing import Literal

from cqox.certificates import date

__all__ = ["Outage"]

type Part = Literal["answer", "login"]
"""Part that can be unavailable: any answer, or a login that the vault accepts."""

_log = logging.getLogger("cqox.vault")


class Outage:
    """The availability of one vault, for any thread.

    Args:
        clock: a monotonic time in seconds.
        now: the time in seconds since the epoch.

    Attributes:
        leases: end of what the vault has issued to this process, by its description, on the clock.
    """

    def __init__(self, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._clock = clock
        self._now = now
        self._lock = Lock()
        self._since = 0.0
        self._reasons: dict[Part, str] = {}
        self.leases: dict[str, float] = {}

    @property
    def reason(self) -> str:
        """The reason why the vault is unavailable; empty while it is available."""
        return " and ".join(self._reasons.values())

    def began(self, part: Part, reason: str) -> None:
        """Note a failure."""
        with self._lock:
            if not self._reasons:
                self._since = self._now()
                _log.warning("%s", reason)
            self._reasons[part] = reason

    def ended(self, part: Part) -> None:
        """Note that a part is available."""
        with self._lock:
            if self._reasons.pop(part, "") and not self._reasons:
                _log.info("The vault is available again.")

    @property
    def problem(self) -> str:
        """The reason, since when, and until when what the vault has issued stays valid; empty while it is available."""
        with self._lock:
            reason, since = self.reason, self._since
        if not reason:
            return ""
        return f"{reason}, since {date(since)}{self._until()}"

    def _until(self) -> str:
        left = {what: ends - self._clock() for what, ends in list(self.leases.items())}
        # A token ends without a consequence while nothing can be asked, and a login brings another.
        ending = {what: seconds for what, seconds in left.items() if what != "its token"} or left
        if not ending:
            return ""
        what, seconds = min(ending.items(), key=lambda item: item[1])
        if seconds <= 0:
            return f"; {what} has ended at {date(self._now() + seconds)}"
        return f"; what it has issued is valid until {date(self._now() + seconds)}, when {what} ends"
