"""The `Content-Digest` field of RFC 9530 with SHA-256, an integrity check of bodies."""

import base64
import binascii
import hashlib
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from cqox.contract.messages import Message
from cqox.errors import BodyCorrupted

if TYPE_CHECKING:
    from services.http.request.proxied import AnyRequest

__all__ = ["CONTENT_DIGEST", "announced", "content_digest", "digest_field", "sha256_of", "verified"]

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


async def verified(request: "AnyRequest", chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the chunks of a body, and compare them with its `Content-Digest` before the end.

    Raises:
        BodyCorrupted: they do not match it.
    """
    expected, digest = announced(request), hashlib.sha256()
    async with aclosing(chunks):
        async for data in chunks:
            if expected is not None:
                digest.update(data)
            yield data
    if expected is not None and expected != digest.digest():
        raise BodyCorrupted(Message("request.digest-mismatch", header=CONTENT_DIGEST))


def announced(request: "AnyRequest") -> bytes | None:
    """Return the SHA-256 digest that a request announces for its body, None where there is no valid one."""
    given = request.values_of(CONTENT_DIGEST)
    return sha256_of(", ".join(given)) if given else None
