"""The caller on whose behalf a call is made, by which limits share their slots fairly.

A service sets it for each request, such as to a tenant. Sharing itself is in `limits`.
"""

from collections.abc import Generator, Hashable
from contextlib import contextmanager
from contextvars import ContextVar

from cqox.tasks import bind_to_group

__all__ = ["caller", "current_caller"]

_current: ContextVar[Hashable] = bind_to_group(ContextVar("cqox_caller", default=None), None)


def current_caller() -> Hashable:
    """Return the caller in force here, None by default."""
    return _current.get()


@contextmanager
def caller(key: Hashable) -> Generator[None]:
    """Set the caller inside the block, in async and sync code, and in tasks of groups opened inside it.

    Args:
        key: identifies the caller; equal keys are one caller.
    """
    token = _current.set(key)
    try:
        yield
    finally:
        _current.reset(token)
