"""The source of randomness of the process: unguessable, except in a simulation, where a seed determines it.

Keys and nonces of encryption are not drawn here: they must never be those of a simulation.
"""

import random
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

__all__ = ["installed", "token_hex", "token_urlsafe", "unit", "uuid4"]

_source: random.Random = secrets.SystemRandom()


def token_hex(size_bytes: int) -> str:
    """Return as many random bytes, in hexadecimal."""
    return _source.randbytes(size_bytes).hex()


def token_urlsafe(size_bytes: int) -> str:
    """Return as many random bytes, in base64 for URLs without padding."""
    return urlsafe_b64encode(_source.randbytes(size_bytes)).rstrip(b"=").decode("ascii")


def uuid4() -> UUID:
    """Return a random UUID of version 4."""
    return UUID(bytes=_source.randbytes(16), version=4)


def unit() -> float:
    """Return a random number in [0, 1)."""
    return _source.random()


@contextmanager
def installed(source: random.Random) -> Iterator[None]:
    """Draw from another source in this process while the block runs."""
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
