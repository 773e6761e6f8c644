"""Compressed files are expanded to disk in small blocks, so that a bomb is stopped before it costs anything."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import zstandard

from cqox.contract.messages import Message
from cqox.datasets.limits import Limits
from cqox.datasets.signatures import Compression, archive_kind, compression, container
from cqox.datasets.temp_files import BLOCK_BYTES, Scratch, Source
from cqox.errors import LimitExceeded, UnreadableFile

__all__ = ["expand"]

_DAMAGE = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile)
_RATIO_FLOOR_BYTES = 32 << 20
_MAX_LAYERS = 2
_XZ_MEMORY_BYTES = 256 << 20
_ZSTD_WINDOW_BYTES = 128 << 20
# zstandard has no way to bound one step's output; three bytes are at most 128 KiB, so this many are at most 22 MiB.
_ZSTD_INPUT_BYTES = 512


class _Decompressor(Protocol):
    """The part that bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def expand(source: Source, scratch: Scratch, limits: Limits) -> tuple[Source, tuple[Compression, ...]]:
    """The bytes inside the compression layers, and the layers from the outside in; the source itself if there are none.

    Raises:
        UnreadableFile: damaged or cut short, or an archive of several files.
        LimitExceeded: more than `max_expanded_bytes`, or an expansion ratio that only a bomb has.
    """
    layers: list[Compression] = []
    inner = source
    while (layer := _layer(inner)) is not None:
        if len(layers) == _MAX_LAYERS:
            raise UnreadableFile(Message("datasets.too-many-layers", most=_MAX_LAYERS))
        inner = _expanded(inner, layer, scratch, limits, sent_bytes=source.size)
        layers.append(layer)
    return inner, tuple(layers)


def _layer(source: Source) -> Compression | None:
    head = source.head(16)
    if head.startswith(b"PK") and container(source) == "zip archive":
        return "zip"
    return compression(head)


def _expanded(source: Source, layer: Compression, scratch: Scratch, limits: Limits, *, sent_bytes: int) -> Source:
    file = scratch.open()
    size = 0
    try:
        for block in _blocks(source, layer):
            size += len(block)
            _check(size, sent_bytes, limits)
            file.write(block)
    except _DAMAGE as error:
        reason = error.args[0] if error.args and isinstance(error.args[0], Message) else str(error)
        raise UnreadableFile(
            Message("datasets.damaged-compression", compression=layer, reason=reason, size=size)
        ) from error
    return scratch.source(file)


def _check(size: int, sent_bytes: int, limits: Limits) -> None:
    if size > limits.max_expanded_bytes:
        raise LimitExceeded(
            Message("datasets.expands-to-too-many-bytes", most=limits.max_expanded_bytes, sent=sent_bytes)
        )
    if size > _RATIO_FLOOR_BYTES and size > limits.max_expansion_ratio * sent_bytes:
        raise LimitExceeded(
            Message("datasets.expands-too-many-times", most=limits.max_expansion_ratio, sent=sent_bytes)
        )


def _blocks(source: Source, layer: Compression) -> Iterator[bytes]:
    match layer:
        case "zip":
            with zipfile.ZipFile(source.path) as archive, archive.open(archive_kind(source).member) as member:
                yield from iter(lambda: member.read(BLOCK_BYTES), b"")
        case "gzip":
            with gzip.open(source.path) as file:
                yield from iter(lambda: file.read(BLOCK_BYTES), b"")
        case "bzip2":
            yield from _streams(source, bz2.BZ2Decompressor)
        case "xz":
            yield from _streams(source, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES))
        case "zstd":
            yield from _zstd(source)


def _streams(source: Source, new: Callable[[], _Decompressor]) -> Iterator[bytes]:
    decompressor = new()
    for block in source.blocks(block_bytes=1 << 16):
        data = block
        while data or not decompressor.needs_input:
            if decompressor.eof:
                # The xz format allows zeros between and behind streams.
                data = (decompressor.unused_data + data).lstrip(b"\0")
                if not data:
                    break
                decompressor = new()
            yield decompressor.decompress(data, max_length=BLOCK_BYTES)
            data = b""
            if decompressor.eof and not decompressor.unused_data:
                break
    if not decompressor.eof:
        raise EOFError(Message("datasets.ends-too-early"))


def _zstd(source: Source) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    frame = decompressor.decompressobj()
    for block in source.blocks(block_bytes=_ZSTD_INPUT_BYTES):
        data = block
        while data:
            if frame.eof:
                frame = decompressor.decompressobj()
            yield frame.decompress(data)
            data = frame.unused_data
    if not frame.eof:
        raise EOFError(Message("datasets.ends-too-early"))
