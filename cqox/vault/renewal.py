"""Renewal of what a vault has issued, by tasks that wait until it is due."""

import logging
from collections.abc import Callable

import anyio
from anyio import CapacityLimiter, to_thread

__all__ = ["renew"]

_MOST_SECONDS = 1.0
"""Longest wait: what is due may change meanwhile, as where another login ends a lease."""

_AFTER_FAILURE_SECONDS = 5.0
_log = logging.getLogger("cqox.vault")


async def renew(what: str, keep: Callable[[], float], *, failures: tuple[type[Exception], ...]) -> None:
    """Call a function in a thread whenever it is due, until it is cancelled.

    A cancellation does not wait for a call in progress, whose requests have a bound of their own.

    Args:
        what: is renewed, for the log.
        keep: renews it if that is due, and returns the seconds until it is due.
        failures: its errors, after which it is called again in a few seconds; equal ones are logged once.
    """
    limiter = CapacityLimiter(1)
    said = ""
    while True:
        try:
            seconds = min(_MOST_SECONDS, await to_thread.run_sync(keep, abandon_on_cancel=True, limiter=limiter))
            said = ""
        except failures as error:
            seconds = _AFTER_FAILURE_SECONDS
            if said != (said := str(error)):
                _log.warning("%s cannot be renewed yet: %s", what, error)
        await anyio.sleep(seconds)
