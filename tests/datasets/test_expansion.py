import bz2
import gzip
import io
import lzma
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zstandard

from cqox.datasets.expansion import expand
from cqox.datasets.limits import Limits
from cqox.datasets.temp_files import Scratch, Source
from cqox.errors import LimitExceeded, UnreadableFile

type Expand = Callable[..., tuple[bytes, tuple[str, ...]]]

TEXT = b"y,w\n" + b"".join(b"%d,%d\n" % (number * 7919 % 1000, number % 2) for number in range(2000))
ZSTD = zstandard.ZstdCompressor().compress
STREAMS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": ZSTD,
}  # fmt: skip


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv", content)
    return buffer.getvalue()


COMPRESSIONS = {**STREAMS, "zip": zipped}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Expand]:
    with Scratch(tmp_path) as scratch:

        def expanded(content: bytes, **limits: int) -> tuple[bytes, tuple[str, ...]]:
            path = tmp_path / "upload"
            path.write_bytes(content)
            inner, layers = expand(Source(path=str(path), size=len(content)), scratch, Limits(**limits))
            return b"".join(inner.blocks()), layers

        yield expanded


def test_what_is_not_compressed_is_the_source_itself(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(TEXT)
    source = Source(path=str(path), size=len(TEXT))
    with Scratch(tmp_path) as scratch:
        assert expand(source, scratch, Limits()) == (source, ())


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_the_layers_are_named_from_the_outside_in(opened: Expand, name: str) -> None:
    assert opened(COMPRESSIONS[name](TEXT)) == (TEXT, (name,))
    assert opened(gzip.compress(COMPRESSIONS[name](TEXT))) == (TEXT, ("gzip", name))


@pytest.mark.parametrize("name", STREAMS)
def test_nothing_compressed_is_nothing_expanded(opened: Expand, name: str) -> None:
    assert opened(STREAMS[name](b"")) == (b"", (name,))


@pytest.mark.parametrize("name", STREAMS)
def test_streams_one_after_the_other_are_one_file(opened: Expand, name: str) -> None:
    pack = STREAMS[name]
    assert opened(pack(TEXT) + pack(b"") + pack(b"3,0\n")) == (TEXT + b"3,0\n", (name,))


def fast_xz(content: bytes) -> bytes:
    return lzma.compress(content, preset=0)


@pytest.mark.parametrize(("pack", "block"), [(bz2.compress, 1 << 16), (fast_xz, 1 << 16), (ZSTD, 512)])
def test_a_stream_that_ends_with_a_block_of_the_file_loses_nothing(
    opened: Expand, pack: Callable[[bytes], bytes], block: int
) -> None:
    noise = np.random.default_rng(2).integers(0, 256, block, dtype=np.uint8).tobytes()
    size = 2 * block - len(pack(noise))
    content = next(noise[:at] for at in range(size + 4, size - 200, -1) if len(pack(noise[:at])) == block)
    packed = pack(content)
    assert opened(packed)[0] == content
    assert opened(packed + packed + pack(b"y"))[0] == content * 2 + b"y"


def test_padding_between_and_behind_streams_of_xz_is_skipped(opened: Expand) -> None:
    one = lzma.compress(TEXT)
    assert opened(one + bytes(4))[0] == TEXT
    assert opened(one + bytes(8) + one + bytes(4))[0] == TEXT * 2
    assert opened(one + bytes(200_000))[0] == TEXT
    assert opened(one + bytes(200_000) + one)[0] == TEXT * 2


def test_a_frame_of_zstd_that_holds_no_data_is_skipped(opened: Expand) -> None:
    skippable = struct.pack("<II", 0x184D2A5E, 5) + b"index"
    assert opened(ZSTD(TEXT) + skippable + ZSTD(b"3,0\n") + skippable)[0] == TEXT + b"3,0\n"


@pytest.mark.parametrize("name", STREAMS)
def test_bytes_behind_a_stream_that_are_none_are_damage(opened: Expand, name: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        opened(STREAMS[name](TEXT) + b"junk")
    assert caught.value.detail.code == "datasets.damaged-compression"
    assert caught.value.detail.params["compression"] == name


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_a_file_cut_at_any_byte_is_never_taken_for_whole(opened: Expand, name: str) -> None:
    packed = COMPRESSIONS[name](b"y,w\n1,0\n2,1\n")
    for end in range(12, len(packed)):
        with pytest.raises(UnreadableFile):
            opened(packed[:end])


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_the_bound_on_bytes_is_the_last_that_is_accepted(opened: Expand, name: str) -> None:
    packed = COMPRESSIONS[name](TEXT)
    assert opened(packed, max_expanded_bytes=len(TEXT))[0] == TEXT
    with pytest.raises(LimitExceeded):
        opened(packed, max_expanded_bytes=len(TEXT) - 1)
    with pytest.raises(LimitExceeded):
        opened(gzip.compress(packed), max_expanded_bytes=len(TEXT) - 1)
