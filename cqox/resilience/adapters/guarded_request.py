"""A request that decides about its own retries and hedges while a policy calls it."""

from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager

from cqox.resilience.runtime.call_context import call_safety

__all__ = ["GuardedRequest"]


class GuardedRequest(ABC):
    """One request of a client."""

    __slots__ = ()

    @abstractmethod
    def may_repeat(self, error: Exception | None) -> bool:
        """See `CallSafety.may_repeat`."""

    @contextmanager
    def guarded(self) -> Generator[None]:
        """Let this request decide about the retries and hedges of the policy inside the block."""
        token = call_safety.set(self)
        try:
            yield
        finally:
            call_safety.reset(token)

    @contextmanager
    def sending(self) -> Generator[None]:
        """Leave what the client calls by itself inside the block to the policies of those calls."""
        token = call_safety.set(None)
        try:
            yield
        finally:
            call_safety.reset(token)
