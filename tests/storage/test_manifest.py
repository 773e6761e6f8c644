import json
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import pytest

from cqox.errors import StoreUnavailable
from cqox.storage.manifest import MANIFEST, digest_of, read_manifest, rename_in_manifest, write_manifest
from cqox.storage.sealing import TenantSealing
from tests.storage.records import a_dataset
from tests.storage.sealings import sealing_in


@pytest.mark.parametrize("content", [b"", b"table", b"x" * 1_000_000])
def test_a_digest_is_blake2b_of_16_bytes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert digest_of(tmp_path / "file") == blake2b(content, digest_size=16).hexdigest()


def test_a_manifest_has_the_record_and_each_file_but_itself(tmp_path: Path, sealing: TenantSealing) -> None:
    for name in ("table.parquet", "source"):
        (tmp_path / name).write_bytes(name.encode())
    for _ in range(2):
        write_manifest(tmp_path, a_dataset("a"), sealing)
        found = read_manifest(tmp_path, "a", sealing)
        assert found is not None
        assert found.record == a_dataset("a")
        assert found.digests == {name: digest_of(tmp_path / name) for name in ("source", "table.parquet")}


def test_the_owner_is_kept_outside_of_the_record_which_an_earlier_release_reads(tmp_path: Path) -> None:
    owned = replace(a_dataset("a"), owner="key:a")
    sealing = TenantSealing()
    write_manifest(tmp_path, owned, sealing)
    found = read_manifest(tmp_path, "a", sealing)
    assert found is not None
    assert found.record == owned
    content = json.loads((tmp_path / MANIFEST).read_text())
    assert "owner" not in content["record"]
    del content["owner"]
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    found = read_manifest(tmp_path, "a", sealing)
    assert found is not None
    assert found.record == a_dataset("a")


def test_a_changed_file_no_longer_has_its_digest(tmp_path: Path, sealing: TenantSealing) -> None:
    (tmp_path / "table.parquet").write_bytes(b"table")
    write_manifest(tmp_path, a_dataset("a"), sealing)
    (tmp_path / "table.parquet").write_bytes(b"tablE")
    found = read_manifest(tmp_path, "a", sealing)
    assert found is not None
    assert found.digests["table.parquet"] != digest_of(tmp_path / "table.parquet")


def test_a_missing_or_unreadable_manifest_is_none(tmp_path: Path) -> None:
    sealing = TenantSealing()
    assert read_manifest(tmp_path, "a", sealing) is None
    assert read_manifest(tmp_path / "missing", "a", sealing) is None
    write_manifest(tmp_path, a_dataset("a"), sealing)
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
        assert read_manifest(tmp_path, "a", sealing) is None
    (tmp_path / MANIFEST).write_bytes(b"\xff")
    assert read_manifest(tmp_path, "a", sealing) is None


def test_a_name_is_replaced_without_another_file_in_the_folder(tmp_path: Path, sealing: TenantSealing) -> None:
    place, scratch = tmp_path / "a", tmp_path / "scratch"
    for folder in (place, scratch):
        folder.mkdir()
    (place / "table.parquet").write_bytes(b"table")
    write_manifest(place, a_dataset("a"), sealing)
    before = read_manifest(place, "a", sealing)
    assert before is not None
    rename_in_manifest(place, scratch, "2026 春", sealing)
    assert read_manifest(place, "a", sealing) == replace(before, record=replace(before.record, name="2026 春"))
    assert {path.name for path in place.iterdir()} == {"table.parquet", MANIFEST}
    assert (place / MANIFEST).stat().st_mode & 0o077 == 0
    rename_in_manifest(tmp_path / "missing", scratch, "n", sealing)
    assert not (tmp_path / "missing").exists()


def test_a_sealed_manifest_without_its_keys_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    write_manifest(tmp_path, a_dataset("a"), sealing_in(tmp_path).of("default"))
    for other in (TenantSealing(), sealing_in(tmp_path / "elsewhere").of("default"), sealing_in(tmp_path).of("acme")):
        with pytest.raises(StoreUnavailable):
            read_manifest(tmp_path, "a", other)


def test_a_sealed_manifest_that_was_changed_or_moved_is_none(tmp_path: Path) -> None:
    sealing = sealing_in(tmp_path).of("default")
    write_manifest(tmp_path, a_dataset("a"), sealing)
    assert read_manifest(tmp_path, "b", sealing) is None
    content = (tmp_path / MANIFEST).read_bytes()
    for broken in (content[:-1], content + b"x", content[:-1] + bytes([content[-1] ^ 1])):
        (tmp_path / MANIFEST).write_bytes(broken)
        assert read_manifest(tmp_path, "a", sealing) is None
