"""Records of the Avro files that Iceberg keeps its manifests in.

The schemas are those of pyiceberg, and so are the readers that put values into their places. The bytes are taken here,
since its compiled decoder reads beyond the end of a damaged file, which can end the process, and since its file reader
takes the records before a cut for all of them.
"""

import bz2
import zlib
from collections.abc import Callable, Mapping
from enum import Enum
from io import BytesIO
from typing import Any, Final

from pyiceberg.avro.decoder import BinaryDecoder
from pyiceberg.avro.file import MAGIC, META_SCHEMA, AvroFileHeader
from pyiceberg.avro.resolver import construct_reader, resolve_reader
from pyiceberg.exceptions import ResolveError
from pyiceberg.schema import Schema, index_by_id
from pyiceberg.typedef import Record
from pyiceberg.types import FixedType, IcebergType, ListType, MapType, StructType, UnknownType
from zstandard import ZstdDecompressor, ZstdError

__all__ = ["DAMAGED", "avro_records"]

DAMAGED: Final = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, ResolveError, RuntimeError, TypeError,
    ValueError, ZstdError, zlib.error,
)  # fmt: skip
"""Errors for bytes that are no such file, or are none any more."""

_MOST_BYTES = 2**28
_ZSTD_WINDOW_BYTES = 2**27
_VARINT_BYTES = 10


def avro_records[R: Record](
    content: bytes,
    schema: Schema,
    kind: type[R],
    nested: Mapping[int, type[Record]],
    enums: Mapping[int, type[Enum]],
) -> list[R]:
    """Return all records of a file.

    Args:
        content: the bytes of the file.
        schema: the fields that are read, by their numbers.
        kind: of each record.
        nested: kinds of the records in fields, by the numbers of these.
        enums: kinds of the fields that have one of a few values.

    Raises:
        DAMAGED: one of these errors; it is not a whole Avro file, a field is not there, or a block expands to more than
            256 MiB.
    """
    decoder = _Decoder(content)
    header = construct_reader(META_SCHEMA, {-1: AvroFileHeader}).read(decoder)
    if header.magic != MAGIC:
        raise ValueError("not an Avro file")
    written = header.get_schema()
    _check_sizes(written)
    kinds: dict[int, Callable[..., Any]] = {-1: kind, **nested}
    reader = resolve_reader(written, schema, kinds, dict(enums))
    codec = header.meta.get("avro.codec", "null")
    found: list[R] = []
    while decoder.left:
        count = decoder.read_int()
        block = _Decoder(_expanded(decoder.read_bytes(), codec))
        # A record has one byte at least: a damaged count takes no more steps than there are bytes.
        if not 0 <= count <= block.left:
            raise ValueError("a count of records that cannot be")
        found.extend(reader.read(block) for _ in range(count))
        if block.left:
            raise ValueError("bytes behind the last record of a block")
        if decoder.read(len(header.sync)) != header.sync:
            raise ValueError("a block without its mark")
    return found


class _Decoder(BinaryDecoder):
    """Values from bytes, never from beyond their end."""

    __slots__ = ("_content", "_end", "_place")

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0
        self._end = len(content)

    @property
    def left(self) -> int:
        """The number of bytes that were not read yet."""
        return self._end - self._place

    def tell(self) -> int:
        return self._place

    def read(self, n: int) -> bytes:
        start = self._place
        self.skip(n)
        return self._content[start : self._place]

    def skip(self, n: int) -> None:
        if not 0 <= n <= self._end - self._place:
            raise EOFError("it is cut")
        self._place += n

    def read_int(self) -> int:
        content, start = self._content, self._place
        found = shift = 0
        for place in range(start, min(start + _VARINT_BYTES, self._end)):
            byte = content[place]
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                self._place = place + 1
                return (found >> 1) ^ -(found & 1)
            shift += 7
        raise EOFError("a number without an end")

    def read_ints(self, n: int) -> tuple[int, ...]:
        if n > self.left:
            raise EOFError("it is cut")
        return super().read_ints(n)

    def read_bytes(self) -> bytes:
        return self.read(self.read_int())

    def skip_int(self) -> None:
        self.read_int()


def _check_sizes(schema: Schema) -> None:
    """Refuse lists and maps of elements without bytes: a damaged count of them would be read for years."""
    for field in index_by_id(schema).values():
        kind = field.field_type
        if (isinstance(kind, ListType) and _is_empty(kind.element_type)) or (
            isinstance(kind, MapType) and _is_empty(kind.key_type) and _is_empty(kind.value_type)
        ):
            raise ValueError("a list of elements without bytes")


def _is_empty(kind: IcebergType) -> bool:
    match kind:
        case UnknownType():
            return True
        case FixedType():
            return len(kind) == 0
        case StructType():
            return all(_is_empty(field.field_type) for field in kind.fields)
        case _:
            return False


def _expanded(block: bytes, codec: str) -> bytes:
    most = _MOST_BYTES + 1
    match codec:
        case "null":
            found = block
        case "deflate":
            found = zlib.decompressobj(-zlib.MAX_WBITS).decompress(block, most)
        case "zstandard":
            with ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).stream_reader(BytesIO(block)) as reader:
                found = reader.read(most)
        case "bzip2":
            found = bz2.BZ2Decompressor().decompress(block, most)
        case _:
            raise ValueError(f"compressed by {codec[:20]!r}")
    if len(found) > _MOST_BYTES:
        raise ValueError(f"a block of more than {_MOST_BYTES} bytes")
    return found
