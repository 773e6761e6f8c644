"""Digests of files."""

import hashlib
from pathlib import Path

import pytest

from cqox.analysis.file_digest import digest_of
from cqox.errors import UnreadableFile


def test_the_digest_is_of_the_bytes(tmp_path: Path) -> None:
    content = b"y,w\n" * 1_000_000
    (tmp_path / "a").write_bytes(content)
    assert digest_of(tmp_path / "a") == (hashlib.blake2b(content, digest_size=16).hexdigest(), len(content))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(UnreadableFile, match=path.name):
            digest_of(path)
