"""A request that decides about its own retries and hedges while a policy calls it."""

from abc import ABC, abstractmethod
from contextvars import Token
from types import TracebackType

from cqox.resilience.runtime.call_context import CallSafety, call_safety

__all__ = ["GuardedRequest"]


class GuardedRequest(ABC):
    """One request of a client."""

    __slots__ = ()

    @abstractmethod
    def may_repeat(self, error: Exception | None) -> bool:
        """See `CallSafety.may_repeat`."""

    def guarded(self) -> "_Deciding":
        """Let this request decide about the retries and hedges of the policy inside the block."""
        return _Deciding(self)

    def sending(self) -> "_Deciding":
        """Leave what the client calls by itself inside the block to the policies of those calls."""
        return _Deciding(None)


class _Deciding:
    __slots__ = ("_safety", "_token")

    _token: Token[CallSafety | None]

    def __init__(self, safety: CallSafety | None) -> None:
        self._safety = safety

    def __enter__(self) -> None:
        self._token = call_safety.set(self._safety)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        call_safety.reset(self._token)
