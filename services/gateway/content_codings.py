"""Content codings of responses: negotiation (RFC 9110, section 12.5.3), and compression by zstd and gzip."""

import gzip
import re
import sys
from functools import lru_cache
from typing import Literal

from anyio import CapacityLimiter

from cqox.threads import run_in_thread

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["Coding", "compressed", "is_compressible", "preferred_coding"]

type Coding = Literal["zstd", "gzip"]
"""A content coding, as `Content-Encoding` names it."""

_CODINGS: tuple[Coding, ...] = ("zstd", "gzip")
"""Of two with the same weight, the one that takes less time for its size comes first."""
_LEVELS = {"zstd": 3, "gzip": 5}

_LEAST_BYTES = 1024
"""Size below which the header fields cost as much as the coding saves."""
_MOST_BYTES = 2**24
_THREAD_BYTES = 2**15
"""Size from which the event loop would notice."""
_THREADS = CapacityLimiter(2)

_TYPES = frozenset({"application/json", "image/svg+xml"})
_FIELD_CHARACTERS = 1000
_CHOICE = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;[ \t]*[qQ]=([01](?:\.[0-9]{0,3})?)[ \t]*)?", re.ASCII
)


def is_compressible(media: str, size_bytes: int) -> bool:
    """Return whether a body is worth a content coding.

    Args:
        media: its media type, in lower case and without parameters; most other types are compressed already.
        size_bytes: its length.
    """
    return _LEAST_BYTES <= size_bytes <= _MOST_BYTES and (media in _TYPES or media.startswith("text/"))


@lru_cache(256)
def preferred_coding(accept_encoding: str) -> Coding | None:
    """Return the coding that a client prefers, None to send the body as it is.

    Args:
        accept_encoding: the values of its `Accept-Encoding`, joined by commas. A part that is malformed counts as
            absent, and so does a field of unusual length.
    """
    if not accept_encoding or len(accept_encoding) > _FIELD_CHARACTERS:
        return None
    weights: dict[str, float] = {}
    for part in accept_encoding.split(","):
        choice = _CHOICE.fullmatch(part)
        if choice is not None:
            weights.setdefault(choice[1].lower(), min(1.0, float(choice[2] or 1)))
    others = weights.get("*", 0.0)
    # Not `*`: that matches what the field does not name, and the body as it is needs no name.
    plain = weights.get("identity", 0.0)
    weighed = [(weights.get(coding, others), coding) for coding in _CODINGS]
    most, coding = max(weighed, key=lambda each: each[0])
    return coding if most > 0 and most >= plain else None


async def compressed(body: bytes, coding: Coding) -> bytes:
    """Return a body in a content coding, the same bytes each time; in a thread where it is large."""
    if len(body) < _THREAD_BYTES:
        return _compressed(body, coding)
    return await run_in_thread(_compressed, body, coding, limiter=_THREADS)


def _compressed(body: bytes, coding: Coding) -> bytes:
    if coding == "zstd":
        return zstd.compress(body, _LEVELS[coding])
    return gzip.compress(body, _LEVELS[coding], mtime=0)
