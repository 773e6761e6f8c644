"""Checkpoints at which a computation may be abandoned: before each estimator and each pass over the rows.

At a checkpoint no work is half done: no thread works on a block and no scratch memory is in use. Cached intermediate
results are the same as if the abandoned computation had never run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["abandonable", "checkpoint"]

type Check = Callable[[], None]
"""Raises if the computation is no longer wanted; not an `Exception` subclass, which an estimator may catch."""

_check: ContextVar[Check | None] = ContextVar("cqox_checkpoint", default=None)


@contextmanager
def abandonable(check: Check) -> Iterator[None]:
    """Call `check` at every checkpoint inside the context, on the thread that entered it."""
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
