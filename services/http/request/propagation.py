"""What a request says of the call that it is part of, put in force while it is handled."""

import re
import secrets
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cqox.resilience.propagation.http import attempt_from_headers, criticality_from_headers, serving_attempt
from cqox.resilience.runtime.criticality import criticality

__all__ = [
    "EXCHANGE",
    "RECEIVED",
    "SECOND_HAND",
    "Received",
    "is_exchange",
    "is_own_key",
    "new_exchange",
    "own_key",
    "serving",
]

SECOND_HAND = "X-Second-Hand"
"""Marks an answer of an engine on what another one may know better."""

EXCHANGE = "X-Cqox-Exchange"
"""Names one attempt of a gateway; the engine's answer repeats it, so that no other answer passes for it."""

RECEIVED = "X-Cqox-Received"
"""Says on an answer to a gateway what body it is an answer to: the bytes that came, and their CRC-32."""

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


class Received:
    """The value of `RECEIVED` for a body that comes in pieces."""

    __slots__ = ("_crc", "_size_bytes")

    def __init__(self) -> None:
        self._crc = self._size_bytes = 0

    def take(self, data: bytes) -> None:
        """Count a piece."""
        self._crc = zlib.crc32(data, self._crc)
        self._size_bytes += len(data)

    def __bool__(self) -> bool:
        """Whether there was any."""
        return self._size_bytes > 0

    def __str__(self) -> str:
        return f"{self._size_bytes}-{self._crc:08x}"


@contextmanager
def serving(headers: Iterable[tuple[str | bytes, str | bytes]]) -> Iterator[None]:
    """Handle a request: calls inside the block know which attempt it is to its client, and how much it matters.

    Args:
        headers: the fields of the request.
    """
    fields = list(headers)
    with serving_attempt(attempt_from_headers(fields)), criticality(criticality_from_headers(fields)):
        yield
