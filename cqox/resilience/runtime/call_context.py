"""Context of a call: attempt numbers and idempotency key, which are sent to other services, and whether to repeat it.

The header fields that carry them are in `propagation.http`. Only calls to other services propagate it; reconnects of a
pool and restarts of a worker are internal to their service.
"""

from contextvars import ContextVar
from typing import Protocol

from cqox.tasks import bind_to_group

__all__ = ["CallSafety", "attempt_made", "attempt_served", "call_key", "call_safety", "serves_a_retry"]

attempt_served: ContextVar[int] = bind_to_group(ContextVar("cqox_attempt_served", default=0), 0)
"""The client's attempt number of the request being served, from 0; above 0 it is itself a retry."""

attempt_made: ContextVar[int] = bind_to_group(ContextVar("cqox_attempt_made", default=0), 0)
"""Attempt number of the enclosing retry, from 0."""

call_key: ContextVar[str | None] = bind_to_group(ContextVar("cqox_call_key", default=None), None)
"""The `Idempotency-Key` of all attempts of the current call."""


class CallSafety(Protocol):
    """Knowledge of an adapter about the request that is the callee."""

    def may_repeat(self, error: Exception | None) -> bool:
        """Return whether the request may be sent again.

        Args:
            error: exception that ended it; None while it is in progress.
        """
        ...


call_safety: ContextVar[CallSafety | None] = bind_to_group(ContextVar("cqox_call_safety", default=None), None)
"""Decides for a retry or a hedge whether the callee may be called again; None where its own settings decide."""


def serves_a_retry() -> bool:
    """Return whether the request being served is itself a retry, so that its calls get one attempt."""
    return attempt_served.get() > 0
