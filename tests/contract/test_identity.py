"""Ids of data sets."""

import hashlib
from pathlib import Path

import pytest

from cqox.contract import dataset_id, file_digest
from cqox.errors import UnreadableFile

CONTENT = b"y,w\n1,0\n" * 300_000
DIGEST = hashlib.blake2b(CONTENT, digest_size=16).hexdigest()


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "表.csv"
    path.write_bytes(CONTENT)
    assert file_digest(path) == (DIGEST, len(CONTENT))


@pytest.mark.parametrize("name", ["absent.csv", "", "a\0b"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableFile, match=tmp_path.name):
        file_digest(tmp_path / name)


def test_options_of_reading_are_part_of_the_id_in_any_order() -> None:
    assert dataset_id(DIGEST, {}) == dataset_id(DIGEST, {"sheet": None}) == DIGEST
    given = {"encoding": "cp932", "na": ["x", "欠"]}
    text = f'["{DIGEST}",{{"encoding":"cp932","na":["x","欠"]}}]'
    expected = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    assert dataset_id(DIGEST, given) == dataset_id(DIGEST, dict(reversed(given.items()))) == expected
