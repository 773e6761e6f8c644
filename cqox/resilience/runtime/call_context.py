"""What a call must remember while it goes from one service to the next.

What lives here: the number of the attempt that this process serves, that of the attempt it makes, and the key that
joins the attempts of one call. What does not: the headers that carry them (`http`).

Only a call to another service is a hop. The reconnects of a pool and the restarts of a worker stay inside their
service.
"""

from contextvars import ContextVar

from cqox.tasks import bind_to_group

__all__ = ["attempt_made", "attempt_served", "call_key", "serves_a_retry"]

attempt_served: ContextVar[int] = bind_to_group(ContextVar("cqox_attempt_served", default=0), 0)
"""Number of the attempt that the request in hand is to its client, from 0; above 0 it is itself a retry."""

attempt_made: ContextVar[int] = bind_to_group(ContextVar("cqox_attempt_made", default=0), 0)
"""Number of the attempt that the enclosing retry is making, from 0."""

call_key: ContextVar[str | None] = bind_to_group(ContextVar("cqox_call_key", default=None), None)
"""The `Idempotency-Key` that every attempt of the call in hand carries."""


def serves_a_retry() -> bool:
    """True where the request in hand is itself a retry, so that a call to the next service gets one attempt."""
    return attempt_served.get() > 0
