"""Points at which a computation may be abandoned: before an estimator and before a pass over the rows.

There nothing is half done: no thread works on a block, and no scratch memory is in use. What is kept from one
computation to the next is the same as if the abandoned one had never been.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["abandonable", "checkpoint"]

type Check = Callable[[], None]
"""Raises where the computation is no longer wanted; no `Exception`, which an estimator may catch."""

_check: ContextVar[Check | None] = ContextVar("cqox_checkpoint", default=None)


@contextmanager
def abandonable(check: Check) -> Iterator[None]:
    """Within it, every checkpoint calls `check`, on the thread that entered."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def checkpoint() -> None:
    """Raise what the check of `abandonable` raises; return otherwise."""
    check = _check.get()
    if check is not None:
        check()
