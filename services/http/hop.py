"""What a request says of the call that it is part of, put in force while it is handled."""

import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cqox.resilience.criticality import criticality
from cqox.resilience.http import attempt_from_headers, criticality_from_headers, serving_attempt

__all__ = ["EXCHANGE", "SECOND_HAND", "is_exchange", "is_own_key", "new_exchange", "own_key", "serving"]

SECOND_HAND = "X-Second-Hand"
"""Marks an answer of an engine on what another one may know better."""

EXCHANGE = "X-Cqox-Exchange"
"""Names one attempt of a gateway; the engine's answer repeats it, so that no other answer passes for it."""

_OWN_KEY = "gateway-"
_EXCHANGE = re.compile(r"[0-9a-f]{32}")


def new_exchange() -> str:
    """A value of `EXCHANGE` that nobody can guess. A request id would not do: clients choose it, and may repeat it."""
    return secrets.token_hex(16)


def is_exchange(value: str | None) -> bool:
    """Whether this is a value of `EXCHANGE`, so that it may be repeated."""
    return value is not None and _EXCHANGE.fullmatch(value) is not None


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
