"""The signature of a principal between gateway and engine, by a key that both hold.

It binds the principal to one method and target for a minute. Within that minute, those who can read the
connection can replay it at the same target: where others can read it, use mutual TLS.
"""

import hashlib
import hmac
import math
import re
from collections.abc import Sequence

from cqox.errors import CqoxError

__all__ = ["MAX_AGE_SECONDS", "HopKeyUnusable", "HopKeys"]

MAX_AGE_SECONDS = 60
"""The largest distance of the time of a signature from now, in seconds, in either direction."""

_LEAST_CHARACTERS = 32
_SIGNATURE = re.compile(r"t=([0-9]{1,12}),v=([0-9a-f]{64})")


class HopKeyUnusable(CqoxError):
    """A key between gateway and engine is too short."""


class HopKeys:
    """The keys of the signatures: the first one signs, all of them verify, so that a key can be replaced.

    Args:
        keys: secrets of at least 32 characters.

    Raises:
        HopKeyUnusable: there is no key, or one is shorter.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys or any(len(key) < _LEAST_CHARACTERS for key in keys):
            raise HopKeyUnusable(f"a key between gateway and engine needs at least {_LEAST_CHARACTERS} characters")
        self._keys = tuple(key.encode() for key in keys)

    def sign(self, principal: str, *, method: str, target: bytes, now: float) -> str:
        """Return the signature of an encoded principal for one request.

        Args:
            principal: as `cqox.security.encode` writes it.
            method: the HTTP method.
            target: path and query as they are sent.
            now: seconds since the epoch.
        """
        at = int(now)
        return f"t={at},v={_mac(self._keys[0], principal, method, target, at).hex()}"

    def verifies(self, signature: str, principal: str, *, method: str, target: bytes, now: float) -> bool:
        """Return whether a signature is of one of the keys, of this request, and not older than a minute."""
        match = _SIGNATURE.fullmatch(signature)
        if match is None or not math.isfinite(now) or abs(now - int(match[1])) > MAX_AGE_SECONDS:
            return False
        given = bytes.fromhex(match[2])
        at = int(match[1])
        return any(hmac.compare_digest(_mac(key, principal, method, target, at), given) for key in self._keys)


def _mac(key: bytes, principal: str, method: str, target: bytes, at: int) -> bytes:
    parts = (str(at).encode(), method.encode(), principal.encode(), target)
    # Each with its length, so that none can be shifted against its neighbour.
    text = b"".join(len(part).to_bytes(8) + part for part in parts)
    return hmac.digest(key, text, hashlib.sha256)
