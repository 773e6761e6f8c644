from pathlib import Path

import pytest

from cqox.storage.manifest import Manifest, digest_of
from cqox.storage.objects.client import Objects
from cqox.storage.objects.editions import EDITION_CHARACTERS, EditionFiles, Incomplete, edition_of
from tests.storage.records import a_dataset

EDITION = "e" * EDITION_CHARACTERS


def test_the_current_edition_is_the_one_that_the_manifest_names(objects: Objects) -> None:
    assert edition_of(objects, "acme", "a") is None
    objects.put("tenants/acme/manifests/a", f"{EDITION}manifest".encode())
    assert edition_of(objects, "acme", "a") == EDITION
    assert edition_of(objects, "default", "a") is None


def test_files_are_fetched_where_there_is_room_and_checked(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "table").write_bytes(b"table")
    objects.upload(tmp_path / "table", "root/table")
    manifest = Manifest(record=a_dataset("a"), digests={"table": digest_of(tmp_path / "table")})
    wanted = list[int]()
    files = EditionFiles(objects, "root/", manifest, make_room=wanted.append)
    (tmp_path / "copy").mkdir()
    files.fetch(tmp_path / "copy")
    assert (wanted, (tmp_path / "copy/table").read_bytes()) == ([5], b"table")
    assert files.is_intact(tmp_path / "copy")
    (tmp_path / "copy/table").write_bytes(b"tablE")
    assert not files.is_intact(tmp_path / "copy")
    (tmp_path / "copy/table").unlink()
    objects.put("root/table/000000", b"tablE")
    with pytest.raises(Incomplete, match="table"):
        files.fetch(tmp_path / "copy")
