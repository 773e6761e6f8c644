"""Waiting for a condition on a machine that may be busy elsewhere; no test asserts how long it took."""

import inspect
import time
from collections.abc import Awaitable, Callable

import anyio

__all__ = ["PATIENCE_SECONDS", "until", "wait_until"]

PATIENCE_SECONDS = 90.0
"""The bound of every wait: many times what is expected, also on a busy machine."""

_PAUSE_SECONDS = 0.01


def wait_until[T](check: Callable[[], T], *, failure: Callable[[], object] = lambda: "") -> T:
    """Call `check` until it returns something true, and return that; `failure` explains why it never did."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := check()):
        assert time.monotonic() < end, failure()
        time.sleep(_PAUSE_SECONDS)
    return found


async def until[T](check: Callable[[], T | Awaitable[T]]) -> T:
    """Call `check` until it returns something true, and return that; on the clock of the event loop."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while True:
            result = check()
            if found := await result if inspect.isawaitable(result) else result:
                return found
            await anyio.sleep(_PAUSE_SECONDS)
