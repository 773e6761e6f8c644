"""Encryption at rest for stores: they seal what they write, open what they read, and know what is not sealed.

Data that was stored before encryption was switched on is read as it is. Sealed data without a key ring is refused, so
that nobody takes it for damaged.
"""

import base64
import binascii
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import IO, Protocol

from cqox.contract.messages import Message
from cqox.encryption import DataKey, KeyRing, KeysUnavailable, SealBroken, Sealer, is_sealed
from cqox.errors import StoreUnavailable
from cqox.fault_points import fault_point
from cqox.storage.private import private_opener

__all__ = ["UPLOAD", "FileKeys", "PlainWriter", "Sealing", "TenantSealing", "Writer", "is_marked"]

UPLOAD = "upload"
"""Context of the bytes of every upload: they are linked, not copied, to where they are kept as the original."""

_BLOCK_BYTES = 2**20
_SEALED_TEXT = "cqox-sealed:"
"""The beginning of all sealed text, in Base64."""

_PLAIN_TEXT = "cqox-plain:"
"""The beginning of plain text that would otherwise begin with one of these two, since somebody wrote it so."""


class Writer(Protocol):
    """A binary file for writing; `close` completes it."""

    def write(self, data: bytes, /) -> int:
        """Append bytes; return their number."""
        ...

    def close(self) -> None:
        """Complete and close the file."""
        ...

    def abandon(self) -> None:
        """Close the file without completing it."""
        ...


class PlainWriter:
    """A file that is written as it is.

    Args:
        file: the open file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: bytes, /) -> int:
        """See `Writer`."""
        fault_point("disk.write", self._file)
        return self._file.write(data)

    def close(self) -> None:
        """See `Writer`."""
        self._file.close()

    def abandon(self) -> None:
        """See `Writer`."""
        self._file.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKeys:
    """Keys for a worker that opens some files and seals others; it gets them through its socket.

    Attributes:
        contexts: file name to the context that it was sealed with; names without one are not sealed.
        keys: wrapped data keys of these files, with the data keys.
        sealed_as: the context of files that are to be written; None where they are not sealed.
        new: the data key of files that are to be written; None where they are not sealed.
    """

    contexts: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    sealed_as: str | None = None
    new: DataKey | None = None

    def to_arguments(self) -> dict[str, object]:
        """Return the arguments of a task, JSON values; none where nothing is sealed."""
        found: dict[str, object] = {}
        if self.contexts:
            keys = {_encoded(wrapped): _encoded(key) for wrapped, key in self.keys.items()}
            found["sealed"] = {"contexts": dict(self.contexts), "keys": keys}
        if self.new is not None:
            found["seal"] = {
                "context": self.sealed_as,
                "wrapped": _encoded(self.new.wrapped),
                "key": _encoded(self.new.plain),
            }
        return found


class Sealing:
    """Encryption at rest for all tenants of a process.

    Args:
        ring: the key ring; None where nothing is sealed.
        seals: whether new data are sealed; otherwise the ring only opens.
    """

    def __init__(self, ring: KeyRing | None = None, *, seals: bool = True) -> None:
        self.ring = ring
        self._seals = seals
        self._tenants: dict[str, TenantSealing] = {}

    def of(self, tenant_id: str) -> "TenantSealing":
        """Return that of one tenant, the same one each time."""
        found = self._tenants.get(tenant_id)
        if found is None:
            sealer = None if self.ring is None else Sealer(self.ring, tenant_id)
            found = self._tenants[tenant_id] = TenantSealing(sealer, seals=self._seals)
        return found

    def check(self) -> None:
        """Check that the key ring answers; blocking.

        Raises:
            StoreUnavailable: it does not.
        """
        if self.ring is not None:
            try:
                self.ring.check()
            except KeysUnavailable as error:
                raise StoreUnavailable(Message("encryption.keys-away", reason=str(error))) from error

    def destroy(self, tenant_id: str) -> bool:
        """Destroy the key of a tenant for ever, and forget its data keys; return whether it had one. Blocking.

        Raises:
            StoreUnavailable: the key ring is away.
        """
        if self.ring is None:
            return False
        try:
            found = self.ring.destroy(tenant_id)
        except KeysUnavailable as error:
            raise StoreUnavailable(Message("encryption.keys-away", reason=str(error))) from error
        self._tenants.pop(tenant_id, None)
        return found


class TenantSealing:
    """Encryption at rest for one tenant; blocking where a data key is not known yet.

    Args:
        sealer: seals and opens; None where nothing is sealed.
        seals: whether new data are sealed; otherwise they are only opened.

    A `context` says what an object is; the same words open it. Methods that open raise `SealBroken` where the object
    was changed, cut off or moved, and `StoreUnavailable` where its key is away or destroyed, or no ring is configured.
    """

    def __init__(self, sealer: Sealer | None = None, *, seals: bool = True) -> None:
        self._sealer = sealer
        # In place of the sealer where nothing new is sealed.
        self._seals = sealer if seals else None

    @property
    def is_on(self) -> bool:
        """True if what is written is sealed."""
        return self._seals is not None

    def seal(self, plain: bytes, context: str) -> bytes:
        """Return bytes as they are to be stored."""
        return plain if self._seals is None else self._seals.seal(plain, context)

    def open(self, stored: bytes, context: str) -> bytes:
        """Return the plain text of stored bytes."""
        return self._there().open(stored, context) if is_sealed(stored) else stored

    def seal_text(self, plain: str | None, context: str) -> str | None:
        """Return text as it is to be stored."""
        if plain is None:
            return None
        if self._seals is None:
            return f"{_PLAIN_TEXT}{plain}" if is_marked(plain) else plain
        return (
            _SEALED_TEXT + base64.b64encode(self._seals.seal(plain.encode("utf-8", "surrogatepass"), context)).decode()
        )

    def open_text(self, stored: str | None, context: str) -> str | None:
        """Return the plain text of stored text."""
        if stored is None or not stored.startswith(_SEALED_TEXT):
            return None if stored is None else stored.removeprefix(_PLAIN_TEXT)
        try:
            sealed = base64.b64decode(stored[len(_SEALED_TEXT) :], validate=True)
        except binascii.Error:
            raise SealBroken("it is no base64") from None
        return self._there().open(sealed, context).decode("utf-8", "surrogatepass")

    def read_file(self, path: Path, context: str) -> bytes:
        """Return the plain text of a file.

        Raises:
            OSError: it cannot be read.
        """
        return self.open(path.read_bytes(), context)

    def write_file(self, path: Path, plain: bytes, context: str) -> None:
        """Write a file that only this user can read.

        Raises:
            OSError: the disk rejects it.
        """
        sealed = self.seal(plain, context)
        with open(path, "wb", opener=private_opener) as file:
            fault_point("disk.write", file)
            file.write(sealed)

    def writer(self, file: IO[bytes], context: str) -> Writer:
        """Return a writer of a file, which closes it.

        Args:
            file: a new file.
            context: what the file is.
        """
        if self._seals is None:
            return PlainWriter(file)
        from cqox.encryption.sealed_stream import SealingWriter

        return SealingWriter(file, self._seals.data_key(), self._seals.context(context))

    @contextmanager
    def blocks(self, path: Path, context: str) -> Iterator[Iterator[bytes]]:
        """Yield an iterator of the plain text of a file, a part at a time.

        Raises:
            OSError: it cannot be read.
        """
        with path.open("rb") as file:
            sealed = is_sealed(file.peek(8)[:8])
            yield self._there().opened(file, context) if sealed else iter(lambda: file.read(_BLOCK_BYTES), b"")

    def is_outdated(self, path: Path) -> bool:
        """Return whether a file is plain where new ones are sealed, as an upload that began before they were.

        Raises:
            OSError: it cannot be read.
        """
        with path.open("rb") as file:
            return self.is_on and not is_sealed(file.read(8))

    def copy_file(self, path: Path, target: Path, context: str) -> None:
        """Copy a file to a new one as it would be written now; see `blocks`.

        Raises:
            OSError: one cannot be read, or the other not be written.
        """
        with self.blocks(path, context) as blocks:
            new = private_opener(str(target), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            writer = self.writer(os.fdopen(new, "wb"), context)
            try:
                for block in blocks:
                    writer.write(block)
            except BaseException:
                writer.abandon()
                raise
            writer.close()

    def digest(self, path: Path, context: str) -> str:
        """Return the BLAKE2b digest of the plain text of a file, 32 hexadecimal digits; see `blocks`."""
        digest = blake2b(digest_size=16)
        with self.blocks(path, context) as blocks:
            for block in blocks:
                digest.update(block)
        return digest.hexdigest()

    def data_key(self) -> DataKey:
        """Return the data key for new objects; only where sealing is on."""
        return self._there().data_key()

    def key_of(self, wrapped: bytes) -> bytes:
        """Return the data key of a wrapped one."""
        return self._there().key_of(wrapped)

    def full_context(self, context: str) -> str:
        """Return a context with the tenant, for processes that are given a data key alone."""
        return self._there().context(context)

    def is_current(self, head: bytes) -> bool:
        """Return whether stored bytes are as they would be written now: sealed under the newest key, or plain."""
        if self._seals is None:
            return not is_sealed(head)
        from cqox.encryption.sealed_stream import wrapped_key_of

        return is_sealed(head) and self._seals.is_current(wrapped_key_of(head))

    def is_current_text(self, stored: str | None) -> bool:
        """Return whether stored text is as it would be written now; so is none."""
        if stored is None:
            return True
        if not stored.startswith(_SEALED_TEXT):
            return self._seals is None
        try:
            return self.is_current(base64.b64decode(stored[len(_SEALED_TEXT) :], validate=True))
        except binascii.Error:
            return False

    def keys_of(self, paths: Mapping[Path, str], *, new: str | None = None) -> FileKeys:
        """Return what a worker needs to open files that exist, and to write new ones.

        Args:
            paths: the files that may be sealed, with their contexts.
            new: context of files that the worker writes; None if it writes none.
        """
        contexts, keys = dict[str, str](), dict[bytes, bytes]()
        for path, context in paths.items():
            wrapped = _wrapped_of(path)
            if wrapped is not None:
                contexts[path.name] = self.full_context(context)
                keys[wrapped] = self.key_of(wrapped)
        if new is None or self._seals is None:
            return FileKeys(contexts=contexts, keys=keys)
        return FileKeys(contexts=contexts, keys=keys, sealed_as=self.full_context(new), new=self.data_key())

    def _there(self) -> Sealer:
        if self._sealer is None:
            raise StoreUnavailable(Message("encryption.no-keys"))
        return self._sealer


def is_marked(text: str | None) -> bool:
    """Return whether text is stored otherwise than it reads: sealed, or plain behind a mark."""
    return text is not None and text.startswith((_SEALED_TEXT, _PLAIN_TEXT))


def _wrapped_of(path: Path) -> bytes | None:
    with path.open("rb") as file:
        if not is_sealed(file.peek(8)[:8]):
            return None
        from cqox.encryption.sealed_stream import read_header

        return read_header(file).wrapped


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
