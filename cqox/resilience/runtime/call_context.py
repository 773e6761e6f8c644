"""Context of a call that is propagated between services: attempt numbers and idempotency key.

The header fields that carry them are in `propagation.http`. Only calls to other services propagate it; reconnects of a
pool and restarts of a worker are internal to their service.
"""

from contextvars import ContextVar

from cqox.tasks import bind_to_group

__all__ = ["attempt_made", "attempt_served", "call_key", "serves_a_retry"]

attempt_served: ContextVar[int] = bind_to_group(ContextVar("cqox_attempt_served", default=0), 0)
"""The client's attempt number of the request being served, from 0; above 0 it is itself a retry."""

attempt_made: ContextVar[int] = bind_to_group(ContextVar("cqox_attempt_made", default=0), 0)
"""Attempt number of the enclosing retry, from 0."""

call_key: ContextVar[str | None] = bind_to_group(ContextVar("cqox_call_key", default=None), None)
"""The `Idempotency-Key` of all attempts of the current call."""


def serves_a_retry() -> bool:
    """Return whether the request being served is itself a retry, so that its calls get one attempt."""
    return attempt_served.get() > 0
