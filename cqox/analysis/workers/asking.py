"""Questions of a task to the engine, which has the network and the secrets that a worker lacks."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["ask", "asking"]

type Ask = Callable[[Mapping[str, object]], bytes]

_ask: ContextVar[Ask | None] = ContextVar("cqox_ask", default=None)


@contextmanager
def asking(ask: Ask) -> Iterator[None]:
    """Answer the questions of the task inside the context, on the thread that entered it."""
    token = _ask.set(ask)
    try:
        yield
    finally:
        _ask.reset(token)


def ask(question: Mapping[str, object]) -> bytes:
    """Return the engine's answer to a question, JSON values; an abandoned task ends while it waits.

    Raises:
        RuntimeError: nobody answers the task.
    """
    answer = _ask.get()
    if answer is None:
        raise RuntimeError("no engine answers the questions of this task")
    return answer(question)
