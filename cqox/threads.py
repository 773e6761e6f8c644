"""Hand-over of blocking calls to threads, with one place to replace it.

A simulation runs the calls in the event loop instead: in simulated time a thread would still work while the clock
jumps to the next deadline.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from anyio import CapacityLimiter, to_thread

__all__ = ["Handover", "installed", "replacement", "run_in_thread"]


class Handover(Protocol):
    """A replacement of threads, which runs the blocking calls."""

    async def run_sync[T](self, call: Callable[[], T]) -> T:
        """Run the call and return its result."""
        ...


_replacement: Handover | None = None


def replacement() -> Handover | None:
    """Return what runs blocking calls in place of threads; None where threads do."""
    return _replacement


def run_in_thread[*Given, T](
    call: Callable[[*Given], T],
    *given: *Given,
    limiter: CapacityLimiter | None = None,
    abandon_on_cancel: bool = False,
) -> Awaitable[T]:
    """Call a blocking function in a thread, as `anyio.to_thread.run_sync` does, whose arguments these are."""
    if _replacement is None:
        return to_thread.run_sync(call, *given, limiter=limiter, abandon_on_cancel=abandon_on_cancel)
    return _limited(_replacement, lambda: call(*given), limiter)


async def _limited[T](handover: Handover, call: Callable[[], T], limiter: CapacityLimiter | None) -> T:
    if limiter is None:
        return await handover.run_sync(call)
    async with limiter:
        return await handover.run_sync(call)


@contextmanager
def installed(handover: Handover) -> Iterator[None]:
    """Run blocking calls by something else than threads in this process while the block runs."""
    global _replacement
    before, _replacement = _replacement, handover
    try:
        yield
    finally:
        _replacement = before
