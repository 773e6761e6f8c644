"""Errors of an object store, translated into errors that a caller can act on, and the policy of its calls."""

import re

from cqox.contract.messages import Message
from cqox.errors import AttemptTimeout, Rejected, StorageFull, StoreUnavailable
from cqox.resilience import CircuitBreaker, Policy, Retry, Timeout
from cqox.storage.policy import RECOVERY_SECONDS

__all__ = ["ObjectStoreAway", "object_policy", "rejected", "translate"]

_FAILURES_IN_A_ROW = 5
_ATTEMPTS = 3
_SECONDS = 16.0
_FULL = ("507 Insufficient Storage", "QuotaExceeded", "XMinioStorageFull", "EntityTooLarge")
_CLOSED = ("PermissionDeniedError", "UnauthenticatedError")
_MOST_CHARACTERS = 300
_STATUS = re.compile(r"status code: ([^:<]+)")
_CODE = re.compile(r"<Code>(\w+)</Code>")


class ObjectStoreAway(StoreUnavailable):
    """The object store does not answer, or answers that it cannot now; another attempt may succeed."""


def translate(error: Exception) -> StoreUnavailable:
    """Return what a failure of the client means.

    Args:
        error: raised by `obstore`.
    """
    text = str(error).partition("\n\nDebug source")[0]
    reason = _reason(text)
    if any(mark in text for mark in _FULL):
        return StorageFull(Message("storage.objects-full", reason=reason))
    if type(error).__name__ in _CLOSED or "NoSuchBucket" in text:
        return StoreUnavailable(Message("storage.objects-refused", reason=reason))
    return ObjectStoreAway(Message("storage.objects-failed", reason=reason))


def _reason(text: str) -> str:
    """Return what the store has answered, or why it has not; without addresses, since clients see it."""
    status = _STATUS.search(text)
    if status is None:
        return " ".join(text.rpartition(": ")[2].split())[:_MOST_CHARACTERS].rstrip(".")
    code = _CODE.search(text)
    return status[1].strip() if code is None else f"{status[1].strip()}, {code[1]}"


def rejected(error: Rejected | AttemptTimeout) -> StoreUnavailable:
    """Return the error of a call that the policy has refused or ended."""
    return StoreUnavailable(Message("storage.objects-failed", reason=str(error)))


def object_policy(*, recovery_seconds: float = RECOVERY_SECONDS) -> Policy:
    """Return the policy of the calls of one object store: a circuit breaker, and retries within it.

    Every call is idempotent: an object is written as a whole, and a conditional write whose acknowledgement was lost is
    recognised by its content. The client limits the time of each attempt, after which there is time for no other one.

    Args:
        recovery_seconds: how long the circuit stays open before a probe.
    """
    circuit = CircuitBreaker(
        "objects",
        _FAILURES_IN_A_ROW,
        recovery_seconds,
        failures=(ObjectStoreAway, AttemptTimeout),
        key="objects breaker",
    )
    retry = Retry(_ATTEMPTS, 0.1, 1.0, exceptions=(ObjectStoreAway,), idempotent=True, name="objects")
    return Policy("objects", circuit, Timeout(_SECONDS), retry)
