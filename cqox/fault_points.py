"""Places where a simulation may break something; each is one comparison in production.

A hook sees the name of the place, and may raise what could be raised there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["fault_point", "hooked"]

_hook: Callable[..., None] | None = None


def fault_point(name: str, *details: object) -> None:
    """Give the hook its chance at this place, if there is one.

    Args:
        name: of the place.
        details: what the hook may decide by.
    """
    if _hook is not None:
        _hook(name, *details)


@contextmanager
def hooked(hook: Callable[..., None]) -> Iterator[None]:
    """Call the hook at every place in this process while the block runs."""
    global _hook
    before, _hook = _hook, hook
    try:
        yield
    finally:
        _hook = before
