"""The id of a data set: a digest of its file's bytes and of the options of reading it.

Who holds a file knows its id before it is uploaded.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from cqox.contract.messages import Message
from cqox.errors import UnreadableFile

__all__ = ["dataset_id", "file_digest"]

_DIGEST_BYTES = 16


def file_digest(path: Path) -> tuple[str, int]:
    """Return the BLAKE2b digest of a file, 32 hexadecimal digits, and its size in bytes.

    Raises:
        UnreadableFile: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES))
            return digest.hexdigest(), file.tell()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableFile(
            Message("analysis.unreadable-file", path=os.fsencode(path).decode(errors="replace"), reason=reason)
        ) from error


def dataset_id(content_digest: str, read_options: Mapping[str, object]) -> str:
    """Return the id of a data set; without options of reading it is the digest of the file.

    Args:
        content_digest: as `file_digest` returns it.
        read_options: options of reading by name, as the reader gets them; None counts as absent.
    """
    given = {name: value for name, value in sorted(read_options.items()) if value is not None}
    if not given:
        return content_digest
    text = json.dumps([content_digest, given], ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()
