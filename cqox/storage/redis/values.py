"""Serialisation of a report as one cache value: compressed, versioned, and verified before it is parsed.

magic and version (5 bytes) | BLAKE2b-16 of the rest | zstd of: length of the head (4 bytes) | head, JSON | bodies
"""

import json
from hashlib import blake2b

import zstandard

from cqox.storage.contracts import StoredReport

__all__ = ["DamagedValue", "decode", "encode"]

_MAGIC = b"CQOX\x01"
_DIGEST_BYTES = 16
_START = len(_MAGIC) + _DIGEST_BYTES
_BODIES = ("report", "provenance", "figures")
_HEAD = tuple(name for name in StoredReport.__dataclass_fields__ if name not in _BODIES)
_LEVEL = 1


class DamagedValue(ValueError):
    """Bytes that are not a report written by this version."""


def encode(report: StoredReport) -> bytes:
    """Serialise the report."""
    bodies = [getattr(report, name) for name in _BODIES]
    head = {name: getattr(report, name) for name in _HEAD} | {"lengths": [len(body) for body in bodies]}
    text = json.dumps(head, separators=(",", ":")).encode()
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(b"".join([len(text).to_bytes(4), text, *bodies]))
    return _MAGIC + blake2b(packed, digest_size=_DIGEST_BYTES).digest() + packed


def decode(value: bytes, analysis_id: str, *, max_bytes: int) -> StoredReport:
    """Deserialise a report written by `encode`.

    Args:
        value: the bytes.
        analysis_id: id of the expected report.
        max_bytes: maximum size of the report.

    Raises:
        DamagedValue: the bytes are anything else.
    """
    if value[: len(_MAGIC)] != _MAGIC:
        raise DamagedValue("it was not written by this version of CQOx")
    packed = value[_START:]
    if blake2b(packed, digest_size=_DIGEST_BYTES).digest() != value[len(_MAGIC) : _START]:
        raise DamagedValue("its digest does not match")
    try:
        report = _unpacked(packed, max_bytes)
    except (zstandard.ZstdError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedValue(f"its content cannot be parsed: {error}") from error
    if report.analysis_id != analysis_id:
        raise DamagedValue(f"it is the analysis {report.analysis_id}")
    return report


def _unpacked(packed: bytes, max_bytes: int) -> StoredReport:
    if not 4 <= zstandard.frame_content_size(packed) <= max_bytes:
        raise DamagedValue("its size is out of bounds")
    content = zstandard.ZstdDecompressor().decompress(packed)
    start = 4 + int.from_bytes(content[:4])
    fields = json.loads(content[4:start])
    for name, length in zip(_BODIES, fields.pop("lengths"), strict=True):
        fields[name] = content[start : start + length]
        start += length
    return StoredReport(**fields)
