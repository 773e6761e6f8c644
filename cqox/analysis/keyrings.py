"""The configured key ring, and the mark by which a data directory knows that it has one.

The mark is a sealed word. Without it a ring that was lost, or a setting that was forgotten, would be met by new keys,
and by data that nobody can open.
"""

import os
from contextlib import suppress
from pathlib import Path

from cqox import randomness
from cqox.contract.messages import Message
from cqox.encryption import KeyRing, SealBroken
from cqox.errors import StoreUnavailable
from cqox.storage import Sealing
from cqox.storage.file_operations import sync

__all__ = ["KEY_RING_FILE", "MARK", "check_mark", "file_ring", "put_mark", "ring_of_directory"]

KEY_RING_FILE = "keyring.json"
"""File of the key ring in a data directory, unless another place is set."""

MARK = "sealed"
"""File of the mark in a data directory."""

_MARK_TENANT = "cqox.mark"
_WORD = b"This data directory is sealed."


def file_ring(path: Path) -> KeyRing:
    """Return the key ring in a file.

    Raises:
        StoreUnavailable: the package that encrypts is not installed.
    """
    try:
        from cqox.encryption.file_keyring import FileKeyRing
    except ModuleNotFoundError:
        raise StoreUnavailable(Message("encryption.not-installed")) from None
    return FileKeyRing(path)


def ring_of_directory(data_dir: Path) -> KeyRing | None:
    """Return the key ring in a data directory; None where there is none."""
    path = data_dir / KEY_RING_FILE
    return file_ring(path) if path.is_file() else None


def check_mark(data_dir: Path, sealing: Sealing) -> None:
    """Check that the ring is the one that sealed a data directory; nothing is checked where none did.

    Raises:
        StoreUnavailable: there is no ring, it is another one, or it is away.
    """
    try:
        mark = (data_dir / MARK).read_bytes()
    except FileNotFoundError:
        return
    try:
        word = sealing.of(_MARK_TENANT).open(mark, MARK)
    except SealBroken:
        word = b""
    if word != _WORD:
        raise StoreUnavailable(Message("encryption.mark-damaged", file=str(data_dir / MARK)))


def put_mark(data_dir: Path, sealing: Sealing) -> None:
    """Mark a data directory as sealed by the ring, or as not sealed where there is none.

    Raises:
        OSError: the disk rejects it.
        StoreUnavailable: the ring is away.
    """
    place = data_dir / MARK
    if sealing.ring is None:
        if place.exists():
            place.unlink(missing_ok=True)
            # A mark that a power failure brings back would keep an engine without a ring from its start.
            sync(data_dir)
        return
    if place.exists():
        return
    scratch = place.with_name(f".{MARK}.{randomness.token_hex(4)}")
    try:
        sealing.of(_MARK_TENANT).write_file(scratch, _WORD, MARK)
        sync(scratch)
        # Another engine may have made it meanwhile.
        with suppress(FileExistsError):
            os.link(scratch, place)
    finally:
        scratch.unlink(missing_ok=True)
    sync(data_dir)
