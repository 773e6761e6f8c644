"""The format of sealed files: what goes in comes out, and nothing else does."""

import io
import os
import struct
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from cqox.encryption import DataKey, SealBroken
from cqox.encryption.sealed_stream import (
    FRAME_BYTES,
    SealingWriter,
    begin,
    open_bytes,
    opened,
    read_header,
    seal_bytes,
    wrapped_key_of,
)

KEY = DataKey(wrapped=b"wrapped", plain=bytes(range(32)))
HEADER_BYTES = 8 + 2 + len(KEY.wrapped) + 32


def key_of(wrapped: bytes) -> bytes:
    assert wrapped == KEY.wrapped
    return KEY.plain


def frames_of(sealed: bytes) -> list[bytes]:
    """Split what follows the header into frames."""
    found, rest = [], sealed[HEADER_BYTES:]
    while rest:
        length = 4 + 12 + (struct.unpack(">I", rest[:4])[0] & 0x7FFFFFFF)
        found.append(rest[:length])
        rest = rest[length:]
    return found


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES + 5])
def test_what_was_sealed_is_opened(size: int) -> None:
    plain = os.urandom(size)
    assert open_bytes(seal_bytes(plain, KEY, "a"), key_of, "a") == plain


@given(st.lists(st.binary(max_size=200), max_size=20), st.text())
def test_a_file_written_in_any_pieces_is_opened(pieces: list[bytes], context: str) -> None:
    file = Kept()
    writer = SealingWriter(file, KEY, context)
    for piece in pieces:
        assert writer.write(piece) == len(piece)
    writer.close()
    assert open_bytes(file.content, key_of, context) == b"".join(pieces)


def test_a_large_file_has_frames_of_one_mebibyte() -> None:
    file = Kept()
    writer = SealingWriter(file, KEY, "a")
    plain = os.urandom(2 * FRAME_BYTES + 7)
    for start in range(0, len(plain), 300_000):
        writer.write(plain[start : start + 300_000])
    writer.close()
    assert [len(frame) - 4 - 12 - 16 for frame in frames_of(file.content)] == [FRAME_BYTES, FRAME_BYTES, 7]
    assert [len(part) for part in opened(io.BytesIO(file.content), key_of, "a")] == [FRAME_BYTES, FRAME_BYTES, 7]


def test_the_format_is_what_it_is_said_to_be() -> None:
    sealed = seal_bytes(b"plain text", KEY, "acme\0table/1/x")
    assert sealed[:8] == b"CQOXSEAL"
    assert sealed[8:10] == struct.pack(">H", 7)
    assert sealed[10:17] == b"wrapped"
    salt, (frame,) = sealed[17:49], frames_of(sealed)
    key = HKDF(SHA256(), 32, salt=salt, info=b"CQOXSEALacme\0table/1/x").derive(KEY.plain)
    assert struct.unpack(">I", frame[:4])[0] == 0x80000000 | (len(b"plain text") + 16)
    assert AESGCM(key).decrypt(frame[4:16], frame[16:], struct.pack(">Q?", 0, True)) == b"plain text"


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    sealed = seal_bytes(b"some plain text", KEY, "a")
    for at in range(len(sealed)):
        for bit in (1, 128):
            flipped = sealed[:at] + bytes([sealed[at] ^ bit]) + sealed[at + 1 :]
            with pytest.raises((SealBroken, AssertionError)):
                open_bytes(flipped, key_of, "a")
        with pytest.raises(SealBroken):
            open_bytes(sealed[:at], key_of, "a")
    with pytest.raises(SealBroken):
        open_bytes(sealed + b"x", key_of, "a")


@pytest.mark.parametrize(
    "change",
    [
        lambda frames: frames[:-1],
        lambda frames: frames[1:],
        lambda frames: [frames[0], frames[0], *frames[1:]],
        lambda frames: [frames[1], frames[0], *frames[2:]],
        lambda frames: [*frames, frames[-1]],
    ],
    ids=["cut off", "without the first", "repeated", "swapped", "longer"],
)
def test_frames_cannot_be_left_out_repeated_or_moved(change: Callable[[list[bytes]], list[bytes]]) -> None:
    sealed = seal_bytes(bytes(2 * FRAME_BYTES + 1), KEY, "a")
    changed = sealed[:HEADER_BYTES] + b"".join(change(frames_of(sealed)))
    with pytest.raises(SealBroken):
        open_bytes(changed, key_of, "a")


def test_an_object_in_the_place_of_another_is_refused() -> None:
    sealed = seal_bytes(b"text", KEY, "acme\0report/1")
    for context in ("acme\0report/2", "other\0report/1", ""):
        with pytest.raises(SealBroken):
            open_bytes(sealed, key_of, context)
    with pytest.raises(SealBroken):
        open_bytes(sealed, lambda _: bytes(32), "acme\0report/1")


def test_equal_objects_are_sealed_differently() -> None:
    assert len({seal_bytes(b"text", KEY, "a") for _ in range(100)}) == 100


def test_a_frame_that_is_written_again_has_another_nonce() -> None:
    # As where a piece of an upload is cut off and sent again with other bytes.
    _, frames = begin(KEY, "a")
    first = frames.seal(b"one", last=False)
    frames.number = 0
    second = frames.seal(b"two", last=False)
    assert first[4:16] != second[4:16]


def test_a_file_without_its_end_is_opened_by_nobody() -> None:
    file = Kept()
    writer = SealingWriter(file, KEY, "a")
    writer.write(bytes(FRAME_BYTES + 1))
    writer.abandon()
    with pytest.raises(SealBroken, match="cut off"):
        open_bytes(file.content, key_of, "a")


def test_the_header_names_the_wrapped_key() -> None:
    sealed = seal_bytes(b"", KEY, "a")
    assert wrapped_key_of(sealed) == read_header(io.BytesIO(sealed)).wrapped == b"wrapped"
    for other in (b"", b"PAR1", sealed[:12], b"CQOXSEAL" + b"\xff" * 100):
        with pytest.raises(SealBroken):
            wrapped_key_of(other)


class Kept(io.BytesIO):
    """A file whose content outlives it, and which writes little at once."""

    content = b""

    def write(self, data: object) -> int:
        return super().write(bytes(data)[:100_000])  # type: ignore[call-overload]

    def close(self) -> None:
        self.content = self.getvalue()
        super().close()
