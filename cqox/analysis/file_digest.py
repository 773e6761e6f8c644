"""Digests of files, which are the ids of data sets."""

import hashlib
from pathlib import Path

from cqox.contract.messages import Message
from cqox.errors import UnreadableFile

__all__ = ["digest_of"]


def digest_of(path: Path) -> tuple[str, int]:
    """Return the digest of a file, as an upload's, and its size in bytes.

    Raises:
        UnreadableFile: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
            return digest.hexdigest(), file.tell()
    except OSError as error:
        raise UnreadableFile(Message("analysis.unreadable-file", path=str(path), reason=error.strerror)) from error
