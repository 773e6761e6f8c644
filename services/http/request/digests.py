"""The `Content-Digest` field of RFC 9530 with SHA-256, an integrity check of bodies."""

import base64
import binascii
import hashlib
import re

__all__ = ["CONTENT_DIGEST", "content_digest", "digest_field", "sha256_of"]

CONTENT_DIGEST = "Content-Digest"

_SHA256 = re.compile(r"(?:^|,)[ \t]*sha-256=:([A-Za-z0-9+/=]{44}):[ \t]*(?=[,;]|$)")


def content_digest(body: bytes) -> str:
    """Return the `Content-Digest` value of a body."""
    return digest_field(hashlib.sha256(body).digest())


def digest_field(sha256: bytes) -> str:
    """Return the `Content-Digest` value for a SHA-256 digest."""
    return f"sha-256=:{base64.b64encode(sha256).decode()}:"


def sha256_of(value: str) -> bytes | None:
    """Parse the SHA-256 digest of a `Content-Digest` value, 32 bytes; None where there is no valid one."""
    found = _SHA256.search(value)
    if found is None:
        return None
    try:
        digest = base64.b64decode(found[1], validate=True)
    except binascii.Error:
        return None
    return digest if len(digest) == hashlib.sha256().digest_size else None
