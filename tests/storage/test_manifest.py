import json
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import pytest

from cqox.storage.manifest import MANIFEST, digest_of, read_manifest, rename_in_manifest, write_manifest
from tests.storage.records import a_dataset


@pytest.mark.parametrize("content", [b"", b"table", b"x" * 1_000_000])
def test_a_digest_is_blake2b_of_16_bytes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert digest_of(tmp_path / "file") == blake2b(content, digest_size=16).hexdigest()


def test_a_manifest_has_the_record_and_each_file_but_itself(tmp_path: Path) -> None:
    for name in ("table.parquet", "source"):
        (tmp_path / name).write_bytes(name.encode())
    for _ in range(2):
        write_manifest(tmp_path, a_dataset("a"))
        found = read_manifest(tmp_path)
        assert found is not None
        assert found.record == a_dataset("a")
        assert found.digests == {name: digest_of(tmp_path / name) for name in ("source", "table.parquet")}


def test_a_changed_file_no_longer_has_its_digest(tmp_path: Path) -> None:
    (tmp_path / "table.parquet").write_bytes(b"table")
    write_manifest(tmp_path, a_dataset("a"))
    (tmp_path / "table.parquet").write_bytes(b"tablE")
    found = read_manifest(tmp_path)
    assert found is not None
    assert found.digests["table.parquet"] != digest_of(tmp_path / "table.parquet")


def test_a_missing_or_unreadable_manifest_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None
    assert read_manifest(tmp_path / "missing") is None
    write_manifest(tmp_path, a_dataset("a"))
    whole = json.loads((tmp_path / MANIFEST).read_text())
    record = whole["record"]
    for broken in (
        "",
        "{",
        "[]",
        json.dumps({"record": record}),
        json.dumps({"record": record | {"unknown": 1}, "digests": {}}),
        json.dumps({"record": record | {"description": None}, "digests": {}}),
        json.dumps({"record": record, "digests": 1}),
    ):
        (tmp_path / MANIFEST).write_text(broken)
        assert read_manifest(tmp_path) is None
    (tmp_path / MANIFEST).write_bytes(b"\xff")
    assert read_manifest(tmp_path) is None


def test_a_name_is_replaced_without_another_file_in_the_folder(tmp_path: Path) -> None:
    place, scratch = tmp_path / "place", tmp_path / "scratch"
    for folder in (place, scratch):
        folder.mkdir()
    (place / "table.parquet").write_bytes(b"table")
    write_manifest(place, a_dataset("a"))
    before = read_manifest(place)
    assert before is not None
    rename_in_manifest(place, scratch, "2026 春")
    assert read_manifest(place) == replace(before, record=replace(before.record, name="2026 春"))
    assert {path.name for path in place.iterdir()} == {"table.parquet", MANIFEST}
    assert (place / MANIFEST).stat().st_mode & 0o077 == 0
    rename_in_manifest(tmp_path / "missing", scratch, "n")
    assert not (tmp_path / "missing").exists()
