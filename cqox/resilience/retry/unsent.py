"""Whether a callee that failed has sent anything, as far as the transport proves it.

An exception tells of one request, and a callee may make several: a redirect, a loop, a group of tasks. So a retry that
is not idempotent notes the requests that begin while an attempt runs (`propagate` does that), and believes an exception
only if it is that of the first request and no other has begun.
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
    """The requests that have begun in the present attempt of one call.

    Attributes:
        owner: the retry that asks.
    """

    __slots__ = ("_begun", "_enclosing", "owner")

    def __init__(self, owner: object, further_out: "AttemptRequests | None") -> None:
        self.owner = owner
        self._enclosing = further_out
        # Appending is one step, from whatever task or thread of the attempt.
        self._begun: list[object] = []

    def begin(self, mark: object) -> None:
        """A request begins, here and in the attempts around this one."""
        attempt: AttemptRequests | None = self
        while attempt is not None:
            attempt._begun.append(mark)
            attempt = attempt._enclosing

    def clear(self) -> None:
        """Another attempt follows; nothing was sent in the last one."""
        self._begun = []

    def prove_unsent(self, error: BaseException) -> bool:
        """True where `error` is that of the first request, which never left, and no other has begun."""
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


# It travels with whoever was started by the attempt, also into groups that were opened before it.
attempt_requests: ContextVar[AttemptRequests | None] = ContextVar("cqox_attempt_requests", default=None)
"""The requests of the innermost attempt that must know them."""


def note_request(extensions: MutableMapping[str, object]) -> None:
    """A request with these `extensions` is about to be sent.

    A redirect has the extensions of the request before it, and is another request.
    """
    attempt = attempt_requests.get()
    if attempt is not None:
        extensions[_MARK] = mark = object()
        attempt.begin(mark)


def _mark_of(error: BaseException) -> object:
    # httpx raises RuntimeError where an exception has no request.
    with suppress(RuntimeError):
        extensions: Any = getattr(getattr(error, "request", None), "extensions", None)
        if isinstance(extensions, MutableMapping):
            return cast("MutableMapping[str, object]", extensions).get(_MARK, error)
    return error
