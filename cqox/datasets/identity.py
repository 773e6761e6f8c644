"""The id of a data set: a digest of its file's bytes, so that the same bytes are the same data set."""

import json
from hashlib import blake2b
from pathlib import Path

from cqox.datasets.read_options import ReadOptions

__all__ = ["dataset_id"]

_BLOCK_BYTES = 1 << 20
_DIGEST_BYTES = 16


def dataset_id(path: Path, options: ReadOptions) -> str:
    """The digest of a file and of the read options that differ from their default, 32 hexadecimal digits.

    With default options it is the BLAKE2b digest of the bytes alone.
    """
    digest = blake2b(digest_size=_DIGEST_BYTES)
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    given = options.given()
    if given:
        text = json.dumps(given, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        digest = blake2b(digest.digest() + text.encode(), digest_size=_DIGEST_BYTES)
    return digest.hexdigest()
