"""Format of sealed files and values: a header, and frames that are encrypted and authenticated one by one.

    magic, 8 bytes | length of the wrapped key, 2 | wrapped data key | salt, 32
    frame: length of the ciphertext with the mark of the last frame in its highest bit, 4 | nonce, 12 | ciphertext
    …

Each object has a key of its own, HKDF-SHA256 of the data key with the salt (RFC 5869) and with the object's context as
`info`, so that an object in the place of another one is refused. Frames are AES-256-GCM with a random nonce; number and
mark of the frame are authenticated with it, so that no frame can be left out, repeated, moved or cut off. Random nonces
are safe for 2^32 frames of one key (NIST SP 800-38D, 8.3); with frames of 1 MiB that is 4 PiB.
"""

import secrets
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cqox.encryption.keyring import KEY_BYTES, MAGIC, MOST_WRAPPED_BYTES, DataKey, SealBroken, is_sealed

__all__ = [
    "FRAME_BYTES",
    "Frames",
    "Header",
    "SealingWriter",
    "begin",
    "open_bytes",
    "opened",
    "read_header",
    "seal_bytes",
    "wrapped_key_of",
]

FRAME_BYTES = 2**20
"""The most bytes of plain text in a frame."""

_SALT_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_LAST = 0x80000000
_LENGTH = struct.Struct(">I")
_WRAPPED = struct.Struct(">H")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Header:
    """The beginning of a sealed object.

    Attributes:
        wrapped: the wrapped data key.
        salt: what makes the object's own key from it.
    """

    wrapped: bytes
    salt: bytes

    def to_bytes(self) -> bytes:
        """Serialise the header."""
        return b"".join([MAGIC, _WRAPPED.pack(len(self.wrapped)), self.wrapped, self.salt])

    def object_key(self, data_key: bytes, context: str) -> AESGCM:
        """Return the cipher of the object, of a data key and of the context that the object was sealed for."""
        # Ids of clients may hold what is no text.
        info = MAGIC + context.encode("utf-8", "surrogatepass")
        return AESGCM(HKDF(SHA256(), KEY_BYTES, salt=self.salt, info=info).derive(data_key))


class Frames:
    """The frames of one object, in order.

    Args:
        cipher: the cipher of the object.
        number: the number of the next frame.

    Attributes:
        number: the number of the next frame.
    """

    def __init__(self, cipher: AESGCM, number: int = 0) -> None:
        self._cipher = cipher
        self.number = number

    def seal(self, plain: bytes | memoryview, *, last: bool) -> bytes:
        """Return the next frame.

        Args:
            plain: at most `FRAME_BYTES`.
            last: whether no frame follows.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, plain, self._about(last=last))
        self.number += 1
        return _LENGTH.pack(len(sealed) | (_LAST if last else 0)) + nonce + sealed

    def open(self, nonce: bytes, sealed: bytes, *, last: bool) -> bytes:
        """Return the plain text of the next frame.

        Raises:
            SealBroken: it is another frame, or was changed.
        """
        try:
            plain = self._cipher.decrypt(nonce, sealed, self._about(last=last))
        except InvalidTag:
            raise SealBroken("a part was changed, or belongs elsewhere") from None
        self.number += 1
        return plain

    def _about(self, *, last: bool) -> bytes:
        return struct.pack(">Q?", self.number, last)


def begin(key: DataKey, context: str) -> tuple[Header, Frames]:
    """Return the header of a new object, and its frames.

    Args:
        key: the data key.
        context: what the object is; the same words open it.
    """
    header = Header(wrapped=key.wrapped, salt=secrets.token_bytes(_SALT_BYTES))
    return header, Frames(header.object_key(key.plain, context))


class SealingWriter:
    """A binary file that seals what is written to it; `close` writes the last frame.

    Args:
        file: where the sealed bytes go; closed by `close`.
        key: the data key.
        context: what the object is; the same words open it.
    """

    def __init__(self, file: IO[bytes], key: DataKey, context: str) -> None:
        header, self._frames = begin(key, context)
        self._file = file
        self._pending = bytearray()
        self._write(header.to_bytes())

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append bytes; return their number.

        Raises:
            OSError: the file rejects them.
        """
        self._pending += data
        while len(self._pending) > FRAME_BYTES:
            self._write(self._frames.seal(bytes(self._pending[:FRAME_BYTES]), last=False))
            del self._pending[:FRAME_BYTES]
        return len(data)

    def close(self) -> None:
        """Write the last frame and close the file.

        Raises:
            OSError: the file rejects the last bytes.
        """
        if self._file.closed:
            return
        try:
            self._write(self._frames.seal(bytes(self._pending), last=True))
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close the file without the last frame, so that it can be opened by nobody."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        # An unbuffered file may write less than it is given.
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]


def read_header(file: _Readable) -> Header:
    """Return the header at the beginning of a sealed file, which is then at its first frame.

    Raises:
        SealBroken: there is none.
    """
    if not is_sealed(file.read(len(MAGIC))):
        raise SealBroken("it is not sealed")
    (length,) = _WRAPPED.unpack(_exactly(file, _WRAPPED.size))
    if length > MOST_WRAPPED_BYTES:
        raise SealBroken("its header is damaged")
    return Header(wrapped=_exactly(file, length), salt=_exactly(file, _SALT_BYTES))


def wrapped_key_of(sealed: bytes) -> bytes:
    """Return the wrapped data key of sealed bytes.

    Raises:
        SealBroken: they are not sealed.
    """
    return read_header(_Bytes(sealed)).wrapped


def opened(file: _Readable, key_of: Callable[[bytes], bytes], context: str) -> Iterator[bytes]:
    """Yield the plain text of a sealed file, frame by frame.

    Nothing may be trusted before the last frame: a file that was cut off is refused at its end.

    Args:
        file: at its beginning.
        key_of: returns the data key of a wrapped one.
        context: what the object was sealed as.

    Raises:
        SealBroken: it was changed, cut off, or sealed as something else.
    """
    header = read_header(file)
    frames = Frames(header.object_key(key_of(header.wrapped), context))
    is_last = False
    while not is_last:
        (word,) = _LENGTH.unpack(_exactly(file, _LENGTH.size))
        is_last, length = bool(word & _LAST), word & ~_LAST
        if not _TAG_BYTES <= length <= FRAME_BYTES + _TAG_BYTES:
            raise SealBroken("the length of a part is damaged")
        nonce = _exactly(file, _NONCE_BYTES)
        yield frames.open(nonce, _exactly(file, length), last=is_last)
    if file.read(1):
        raise SealBroken("there are bytes after its end")


def seal_bytes(plain: bytes, key: DataKey, context: str) -> bytes:
    """Return bytes sealed under a data key."""
    (header, frames), view = begin(key, context), memoryview(plain)
    starts = range(0, max(len(view), 1), FRAME_BYTES)
    parts = [frames.seal(view[start : start + FRAME_BYTES], last=start == starts[-1]) for start in starts]
    return b"".join([header.to_bytes(), *parts])


def open_bytes(sealed: bytes, key_of: Callable[[bytes], bytes], context: str) -> bytes:
    """Return the plain text of sealed bytes; see `opened`."""
    return b"".join(opened(_Bytes(sealed), key_of, context))


class _Bytes:
    """Bytes that are read like a file, without a copy of all of them."""

    def __init__(self, content: bytes) -> None:
        self._rest = memoryview(content)

    def read(self, size: int, /) -> bytes:
        found, self._rest = self._rest[:size], self._rest[size:]
        return bytes(found)


def _exactly(file: _Readable, size: int) -> bytes:
    data = file.read(size)
    # An unbuffered file may return less than it has.
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    if len(data) < size:
        raise SealBroken("it is cut off")
    return data
