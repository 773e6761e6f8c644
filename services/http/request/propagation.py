"""Call context of a request: attempt, criticality, exchange id and idempotency key."""

import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cqox import randomness
from cqox.resilience.propagation.http import (
    REQUEST_TIMEOUT_MS,
    attempt_from_headers,
    criticality_from_headers,
    deadline_from_headers,
    serving_attempt,
)
from cqox.resilience.runtime.criticality import criticality

__all__ = [
    "DEADLINE_OF",
    "EXCHANGE",
    "RECEIVED",
    "RECORDED",
    "SECOND_HAND",
    "Received",
    "is_client_deadline",
    "is_exchange",
    "is_own_key",
    "new_exchange",
    "own_key",
    "serving",
]

SECOND_HAND = "X-Second-Hand"
"""Header that marks a response from an engine's record of a resource that another engine may hold."""

EXCHANGE = "X-Cqox-Exchange"
"""Header with the id of one attempt of a gateway; the engine's response repeats it, which pairs the two."""

RECEIVED = "X-Cqox-Received"
"""Response header to a gateway with the size and CRC-32 of the request body that the engine received."""

RECORDED = "X-Cqox-Recorded"
"""Response header to a gateway for a request that the engine records in its audit log."""

DEADLINE_OF = "X-Cqox-Deadline-Of"
"""Header of a gateway that says whose the deadline of a request is: the `client`'s or that of the `service`."""

_OWN_KEY = "gateway-"
_EXCHANGE = re.compile(r"[0-9a-f]{32}")


def is_client_deadline(headers: Iterable[tuple[str | bytes, str | bytes]], *, most: float) -> bool:
    """Return whether the client chose the deadline of a request itself, shorter than the longest one.

    The timeout of a proxy in between is none that the client chose.

    Args:
        headers: the request header fields.
        most: the longest time that is granted, in seconds.
    """
    fields = list(headers)
    chosen = [(name, value) for name, value in fields if _text(name).lower() == REQUEST_TIMEOUT_MS.lower()]
    seconds = deadline_from_headers(chosen, max_seconds=most)
    return seconds < most and seconds <= deadline_from_headers(fields, max_seconds=most)


def _text(name: str | bytes) -> str:
    return name.decode("latin1") if isinstance(name, bytes) else name


def new_exchange() -> str:
    """Return a random value of `EXCHANGE`. A request id does not suffice: clients choose it, and may repeat it."""
    return randomness.token_hex(16)


def is_exchange(value: str | None) -> bool:
    """Return whether this is a valid value of `EXCHANGE`."""
    return value is not None and _EXCHANGE.fullmatch(value) is not None


def own_key() -> str:
    """Return an idempotency key for all attempts of a request whose client sent none."""
    return _OWN_KEY + randomness.token_hex(16)


def is_own_key(key: str) -> bool:
    """Return whether a gateway generated this key, so that it is bound to one body only."""
    return key.startswith(_OWN_KEY)


class Received:
    """The value of `RECEIVED`, computed incrementally."""

    __slots__ = ("_crc", "_size_bytes")

    def __init__(self) -> None:
        self._crc = self._size_bytes = 0

    def take(self, data: bytes) -> None:
        """Count a piece."""
        self._crc = zlib.crc32(data, self._crc)
        self._size_bytes += len(data)

    def __bool__(self) -> bool:
        """True if the body is not empty."""
        return self._size_bytes > 0

    def __str__(self) -> str:
        return f"{self._size_bytes}-{self._crc:08x}"


@contextmanager
def serving(headers: Iterable[tuple[str | bytes, str | bytes]]) -> Iterator[None]:
    """Set the request's attempt number and criticality for calls inside the block.

    Args:
        headers: the request header fields.
    """
    fields = list(headers)
    with serving_attempt(attempt_from_headers(fields)), criticality(criticality_from_headers(fields)):
        yield
