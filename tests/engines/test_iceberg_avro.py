"""Records of Avro files: those that pyiceberg writes, however compressed, and errors for bytes that are damaged."""

import bz2
import zlib
from collections.abc import Callable
from io import BytesIO
from json import dumps
from pathlib import Path

import numpy as np
import pytest
from pyiceberg.avro.encoder import BinaryEncoder
from pyiceberg.avro.file import MAGIC, META_SCHEMA, AvroFileHeader, AvroOutputFile
from pyiceberg.avro.resolver import construct_writer
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.schema import Schema
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DoubleType,
    FloatType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
)
from pyiceberg.utils.schema_conversion import AvroSchemaConversion
from zstandard import ZstdCompressor

from cqox.engines.iceberg_avro import DAMAGED, avro_records

_SYNC = bytes(range(16))
_SCHEMA = Schema(
    NestedField(1, "name", StringType(), required=True),
    NestedField(2, "number", LongType(), required=False),
    NestedField(3, "numbers", ListType(4, LongType(), element_required=True), required=False),
    NestedField(5, "sizes", MapType(6, LongType(), 7, BinaryType(), value_required=True), required=False),
    NestedField(8, "inner", StructType(NestedField(9, "y", DoubleType(), required=True)), required=True),
    NestedField(10, "half", FloatType(), required=True),
    NestedField(11, "yes", BooleanType(), required=True),
)
_COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": lambda content: zlib.compress(content, wbits=-15),
    "zstandard": ZstdCompressor().compress,
    "bzip2": bz2.compress,
}


def _records() -> list[Record]:
    return [
        Record(f"file {number}", 2**62 - number if number % 2 else None, [number, -number], {number: b"\xff" * number},
               Record(number / 3), number / 4, number % 3 == 0)
        for number in range(5)
    ]  # fmt: skip


def _written(path: Path, codec: str, schema: Schema, *blocks: list[Record]) -> bytes:
    with AvroOutputFile[Record](
        PyArrowFileIO().new_output(str(path)), schema, "record", metadata={"write.avro.compression-codec": codec}
    ) as output:
        for block in blocks:
            output.write_block(block)
    return path.read_bytes()


def _file(block: bytes, count: int, codec: str = "null", schema: Schema = _SCHEMA, *, compressed: bool = True) -> bytes:
    """Return a file of one block, with what its header says whatever the block is."""
    stream = BytesIO()
    encoder = BinaryEncoder(stream)
    names = {"avro.schema": dumps(AvroSchemaConversion().iceberg_to_avro(schema, "record")), "avro.codec": codec}
    construct_writer(META_SCHEMA).write(encoder, AvroFileHeader(MAGIC, names, _SYNC))
    encoder.write_int(count)
    encoder.write_bytes(_COMPRESSORS[codec](block) if compressed else block)
    encoder.write(_SYNC)
    return stream.getvalue()


def _encoded(schema: Schema, records: list[Record]) -> bytes:
    stream = BytesIO()
    writer, encoder = construct_writer(schema), BinaryEncoder(stream)
    for record in records:
        writer.write(encoder, record)
    return stream.getvalue()


def _read(content: bytes, schema: Schema = _SCHEMA) -> list[Record]:
    return avro_records(content, schema, Record, nested={8: Record}, enums={})


@pytest.mark.parametrize("codec", _COMPRESSORS)
def test_records_are_those_that_were_written(codec: str) -> None:
    block = _encoded(_SCHEMA, _records())
    assert _read(_file(block, 5, codec)) == _records()


def test_files_of_pyiceberg_are_read_in_all_their_blocks(tmp_path: Path) -> None:
    first, last = _records()[:2], _records()[2:]
    assert _read(_written(tmp_path / "a.avro", "deflate", _SCHEMA, first, [], last)) == _records()
    assert _read(_written(tmp_path / "b.avro", "deflate", _SCHEMA)) == []


def test_a_file_that_is_cut_anywhere_behind_its_header_is_an_error() -> None:
    content = _file(_encoded(_SCHEMA, _records()), 5)
    header = content.index(_SYNC) + len(_SYNC)
    assert _read(content[:header]) == []
    for size in (*range(header), *range(header + 1, len(content))):
        with pytest.raises(DAMAGED):
            _read(content[:size])


@pytest.mark.parametrize(
    "number",
    [
        b"\xff" * 9 + b"\x01",
        b"\xff" * 9 + b"\x7f",
        b"\x01",
        b"\x80" * 12,
        b"\xfe\xff\xff\xff\x0f",
        b"\xfd\xff\xff\xff\x0f",
    ],
    ids=["-2**63", "beyond 64 bits", "-1", "without an end", "2**31 - 1", "-2**31 + 1"],
)
def test_a_length_that_cannot_be_is_never_followed(number: bytes) -> None:
    block = _encoded(_SCHEMA, _records())
    for place in range(len(block)):
        damaged = block[:place] + number + block[place + 1 :]
        try:
            read = _read(_file(damaged, 5))
        except DAMAGED:
            continue
        # Within the bytes of a string or of a number it is another value.
        assert len(read) == 5


def test_other_bytes_are_an_error_or_other_values() -> None:
    content = _file(_encoded(_SCHEMA, _records()), 5)
    random = np.random.default_rng(4)
    failed = 0
    for _ in range(2_000):
        damaged = bytearray(content)
        for _ in range(random.integers(1, 4)):
            damaged[random.integers(len(content))] = random.integers(256)
        try:
            assert len(_read(bytes(damaged))) == 5
        except DAMAGED:
            failed += 1
    assert failed > 1_000


@pytest.mark.parametrize("count", [-1, 4, 6, 2**62])
def test_a_wrong_count_of_records_is_an_error(count: int) -> None:
    with pytest.raises(DAMAGED):
        _read(_file(_encoded(_SCHEMA, _records()), count))


def test_a_list_of_elements_without_bytes_is_refused() -> None:
    empty = StructType(NestedField(3, "nothing", StructType(), required=True))
    schema = Schema(NestedField(1, "list", ListType(2, empty, element_required=True), required=True))
    block = bytes.fromhex("fe ff ff ff ff ff ff ff 7f") + b"\0"
    with pytest.raises(ValueError, match="a list of elements without bytes"):
        _read(_file(block, 1, schema=schema), schema)


@pytest.mark.parametrize("codec", ["deflate", "zstandard", "bzip2"])
def test_a_block_that_expands_without_a_bound_is_refused(codec: str) -> None:
    with pytest.raises(ValueError, match="a block of more than 268435456 bytes"):
        _read(_file(bytes(2**28 + 1), 1, codec))


@pytest.mark.parametrize("codec", ["deflate", "zstandard", "bzip2"])
def test_a_block_that_is_not_compressed_as_the_header_says_is_an_error(codec: str) -> None:
    with pytest.raises(DAMAGED):
        _read(_file(b"\x13" * 40, 5, codec, compressed=False))


def test_an_unknown_compression_is_named() -> None:
    content = _file(_encoded(_SCHEMA, _records()), 5).replace(b"\x08null", b"\x08lzma")
    with pytest.raises(ValueError, match="compressed by 'lzma'"):
        _read(content)
