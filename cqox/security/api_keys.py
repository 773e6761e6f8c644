"""API keys, `cqox_<id>_<secret>_<crc>`: making, strict parsing, digests and comparison in constant time.

The secret has 256 bits, so a plain SHA-256 of it cannot be searched. The checksum finds slips of the hand, and rejects
most of what is no key without a question to a store; it protects nothing, because everybody can compute it.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass, field

__all__ = ["ApiKey", "digest_of", "id_of_request", "matches", "new_key", "parse_key"]

_ID_BYTES = 8
_SECRET_BYTES = 32
_KEY = re.compile(r"cqox_([0-9a-f]{16})_([0-9a-f]{64})_([0-9a-f]{8})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key as its owner holds it.

    Attributes:
        key_id: its public identifier, 16 hexadecimal digits.
        text: the whole key, which is secret.
    """

    key_id: str
    text: str = field(repr=False)


def id_of_request(*parts: str) -> str:
    """Return the identifier of the key that a request asks for, the same for a repeated request.

    Args:
        parts: tenant, principal, idempotency key and digest of the body.
    """
    # Lengths keep parts apart that hold any character.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[: 2 * _ID_BYTES]


def new_key(key_id: str = "") -> ApiKey:
    """Return a new key, from the random source of the operating system.

    Args:
        key_id: its public identifier, 16 hexadecimal digits; a random one if empty.
    """
    key_id, secret = key_id or secrets.token_hex(_ID_BYTES), secrets.token_hex(_SECRET_BYTES)
    return ApiKey(key_id=key_id, text=f"cqox_{key_id}_{secret}_{_checksum(key_id, secret)}")


def parse_key(text: str) -> ApiKey | None:
    """Return the key that a text holds; None where it is none, or its checksum is wrong."""
    match = _KEY.fullmatch(text)
    if match is None or match[3] != _checksum(match[1], match[2]):
        return None
    return ApiKey(key_id=match[1], text=text)


def digest_of(key: ApiKey) -> bytes:
    """Return the SHA-256 of a whole key, 32 bytes: what is stored and sent in its place."""
    return hashlib.sha256(key.text.encode()).digest()


def matches(stored: bytes, given: bytes) -> bool:
    """Return whether two digests are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(stored, given)


def _checksum(key_id: str, secret: str) -> str:
    return f"{zlib.crc32(f'{key_id}_{secret}'.encode()):08x}"
