"""The one audit hook of a process, which can never be removed: it passes events on to who listens now."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["listening", "unobserved"]

type _Listener = Callable[[str, tuple[object, ...]], None]

_listeners: tuple[_Listener, ...] = ()
_is_installed = False
_within = threading.local()


@contextmanager
def listening(listener: _Listener) -> Iterator[None]:
    """Pass each audit event of this process to a listener until the block exits; what it raises reaches the caller.

    Events that a listener causes itself are not passed on.

    Args:
        listener: takes the name of the event and its arguments, in the thread that causes it.
    """
    global _listeners, _is_installed
    if not _is_installed:
        sys.addaudithook(_hook)
        _is_installed = True
    _listeners = (*_listeners, listener)
    try:
        yield
    finally:
        _listeners = tuple(other for other in _listeners if other != listener)


@contextmanager
def unobserved() -> Iterator[None]:
    """Pass on no events of this thread until the block exits."""
    before = getattr(_within, "is_busy", False)
    _within.is_busy = True
    try:
        yield
    finally:
        _within.is_busy = before


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if not _listeners or getattr(_within, "is_busy", False):
        return
    _within.is_busy = True
    try:
        for listener in _listeners:
            listener(event, arguments)
    finally:
        _within.is_busy = False


# So that a debugger and coverage see what the hook does.
_hook.__cantrace__ = True  # type: ignore[attr-defined]
