"""Proof that a failed callee has sent no request, as far as the transport provides it.

An exception concerns one request, but a callee may send several: a redirect, a loop, a task group. So a retry that is
not idempotent records the requests that start during an attempt (through `propagate`), and relies on an exception only
if it belongs to the first request and no other has started.
"""

from collections.abc import MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, cast

from cqox.resilience.retry.classification import never_sent

__all__ = ["AttemptRequests", "attempt_requests", "note_request"]

_MARK: Final = "cqox.request"
_MOST_CAUSES = 8


class AttemptRequests:
    """Requests that have started in the current attempt of one call.

    Attributes:
        owner: the retry that records them.
    """

    __slots__ = ("_begun", "_enclosing", "owner")

    def __init__(self, owner: object, further_out: "AttemptRequests | None") -> None:
        self.owner = owner
        self._enclosing = further_out
        # Appending is atomic, from any task or thread of the attempt.
        self._begun: list[object] = []

    def begin(self, mark: object) -> None:
        """Record the start of a request, here and in the enclosing attempts."""
        attempt: AttemptRequests | None = self
        while attempt is not None:
            attempt._begun.append(mark)
            attempt = attempt._enclosing

    def clear(self) -> None:
        """Reset for the next attempt."""
        self._begun = []

    def prove_unsent(self, error: BaseException) -> bool:
        """Return whether `error` belongs to the first request, which was never sent, and no other has started."""
        return len(self._begun) == 1 and self._is_of(self._begun[0], error)

    def _is_of(self, mark: object, error: BaseException) -> bool:
        if isinstance(error, BaseExceptionGroup):
            leaves = cast("BaseExceptionGroup[BaseException]", error).exceptions
            return all(self._is_of(mark, leaf) for leaf in leaves)
        reason: BaseException | None = error
        for _ in range(_MOST_CAUSES):
            if reason is None:
                return False
            if _mark_of(reason) is mark and never_sent(reason):
                return True
            reason = reason.__cause__
        return False


# Tasks started by the attempt inherit it, also in task groups that were opened before.
attempt_requests: ContextVar[AttemptRequests | None] = ContextVar("cqox_attempt_requests", default=None)
"""The requests of the innermost attempt that records them."""


def note_request(extensions: MutableMapping[str, object]) -> None:
    """Record that a request with these `extensions` is about to be sent.

    A redirect inherits the extensions of the previous request, but is another request.
    """
    attempt = attempt_requests.get()
    if attempt is not None:
        extensions[_MARK] = mark = object()
        attempt.begin(mark)


def _mark_of(error: BaseException) -> object:
    # httpx raises RuntimeError for an exception without a request.
    with suppress(RuntimeError):
        extensions: Any = getattr(getattr(error, "request", None), "extensions", None)
        if isinstance(extensions, MutableMapping):
            return cast("MutableMapping[str, object]", extensions).get(_MARK, error)
    return error
