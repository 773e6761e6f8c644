"""What a request says of the call that it is part of, put in force while it is handled."""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cqox.resilience.criticality import criticality
from cqox.resilience.http import attempt_from_headers, criticality_from_headers, serving_attempt

__all__ = ["SECOND_HAND", "is_own_key", "own_key", "serving"]

SECOND_HAND = "X-Second-Hand"
"""Marks an answer of an engine on what another one may know better."""

_OWN_KEY = "gateway-"


def own_key() -> str:
    """An idempotency key for all attempts of a request whose client gave none."""
    return _OWN_KEY + secrets.token_hex(16)


def is_own_key(key: str) -> bool:
    """Whether a gateway made this key, so that it came with one body only."""
    return key.startswith(_OWN_KEY)


@contextmanager
def serving(headers: Iterable[tuple[str | bytes, str | bytes]]) -> Iterator[None]:
    """Handle a request: calls inside the block know which attempt it is to its client, and how much it matters.

    Args:
        headers: the fields of the request.
    """
    fields = list(headers)
    with serving_attempt(attempt_from_headers(fields)), criticality(criticality_from_headers(fields)):
        yield
