"""Progress of an analysis in a terminal or a notebook."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

from cqox.api.portal import OnStep
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

__all__ = ["Progress", "shown"]

type Progress = bool | OnStep | None
"""True or False to show it or not, or a function that gets each step; None shows it in a terminal and a notebook."""

_QUIET_SECONDS = 0.5
_WIDTH = 60


@contextmanager
def shown(progress: Progress) -> Iterator[OnStep | None]:
    """Yield the function that shows a step; remove what it showed at the end.

    Raises:
        InvalidRequest: the argument is of another type.
    """
    if progress is not None and not isinstance(progress, bool) and not callable(progress):
        raise InvalidRequest(Message("request.no-progress", type=type(progress).__name__), field="progress")
    if progress is False:
        yield None
    elif callable(progress):
        yield progress
    elif (display := _notebook()) is not None:
        with _Line(display).watching() as line:
            yield line.step
    elif progress is True or sys.stderr.isatty():
        with _Line(_terminal).watching() as line:
            yield line.step
    else:
        yield None


class _Line:
    """One line that is rewritten, from half a second on.

    Args:
        show: shows a text in place of the one before; an empty one removes it.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._from = monotonic() + _QUIET_SECONDS
        self._written = False

    @contextmanager
    def watching(self) -> Iterator["_Line"]:
        try:
            yield self
        finally:
            if self._written:
                self._show("")

    def step(self, message: Mapping[str, object]) -> None:
        if monotonic() >= self._from:
            self._written = True
            self._show(f"cqox: {message.get('step', '')}{_share(message)}")


def _share(message: Mapping[str, object]) -> str:
    """Return how much of an upload has been sent or of a table copied, as a percentage; empty for other steps."""
    sent, whole = message.get("sent_bytes", message.get("copied_bytes")), message.get("size_bytes")
    return f" {sent / whole:.0%}" if isinstance(sent, int) and isinstance(whole, int) and whole else ""


def _terminal(text: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(f"\r{text[:_WIDTH]:<{_WIDTH}}" if text else f"\r{'':<{_WIDTH}}\r")
        sys.stderr.flush()


def _notebook() -> Callable[[str], None] | None:
    """Return what shows a text in the output of a notebook's cell; None outside of notebooks."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None or type(shell).__name__ != "ZMQInteractiveShell" or not _is_main_thread():
        return None
    from IPython.display import display

    handle: Any = None

    def show(text: str) -> None:
        nonlocal handle
        content = {"text/plain": text or " "}
        if handle is None:
            handle = display(  # type: ignore[no-untyped-call]
                content, raw=True, display_id=True
            )
        else:
            handle.update(content, raw=True)

    return show


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
