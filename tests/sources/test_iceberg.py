"""The metadata of Iceberg tables: which file counts, and what is refused."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cqox.errors import SourceDown, UnusableData
from cqox.sources import Place, folder_of, has_iceberg_metadata, iceberg_table, snapshot_of

FIELDS = [{"id": 1, "name": "y", "required": False, "type": "double"}]
SCHEMA = {"type": "struct", "schema-id": 0, "fields": FIELDS}


def metadata(folder: Path, **members: object) -> dict[str, Any]:
    """Return the metadata of a table of the format version 2 with one snapshot."""
    snapshot = {
        "snapshot-id": 7, "sequence-number": 1, "timestamp-ms": 1_700_000_000_000, "schema-id": 0,
        "manifest-list": f"{folder}/metadata/list.avro", "summary": {"operation": "append"},
    }  # fmt: skip
    return {
        "format-version": 2, "table-uuid": "00000000-0000-0000-0000-000000000001", "location": str(folder),
        "last-sequence-number": 1, "last-updated-ms": 1_700_000_000_000, "last-column-id": 1,
        "current-schema-id": 0, "schemas": [SCHEMA], "default-spec-id": 0, "last-partition-id": 999,
        "partition-specs": [{"spec-id": 0, "fields": []}], "default-sort-order-id": 0,
        "sort-orders": [{"order-id": 0, "fields": []}], "properties": {}, "current-snapshot-id": 7,
        "snapshots": [snapshot], **members,
    }  # fmt: skip


def stored(folder: Path, name: str = "v1.metadata.json", **members: object) -> Path:
    """Write a metadata file, and return the folder."""
    (folder / "metadata").mkdir(parents=True, exist_ok=True)
    content = json.dumps(metadata(folder, **members)).encode()
    (folder / "metadata" / name).write_bytes(gzip.compress(content) if ".gz" in name else content)
    return folder


def with_snapshot(number: int) -> dict[str, object]:
    of = metadata(Path("/t"))["snapshots"][0]
    return {"current-snapshot-id": number, "snapshots": [{**of, "snapshot-id": number}]}


def test_a_snapshot_has_the_columns_and_the_place_of_its_table(tmp_path: Path) -> None:
    found = iceberg_table(stored(tmp_path / "t"))
    assert (found.snapshot, found.location, found.folder) == ("7", str(tmp_path / "t"), tmp_path / "t")
    assert [(each.identity, each.name, each.type) for each in found.fields] == [(1, "y", "double")]
    assert found.identities == {0: ()}


def test_the_highest_version_counts_unless_there_is_a_hint(tmp_path: Path) -> None:
    folder = stored(tmp_path, "v2.metadata.json")
    stored(tmp_path, "v10.gz.metadata.json", **with_snapshot(10))
    assert iceberg_table(folder).snapshot == "10"
    hint = folder / "metadata" / "version-hint.text"
    hint.write_text("2\n")
    assert iceberg_table(folder).snapshot == "7"
    hint.write_text("v10")
    assert iceberg_table(folder).snapshot == "10"
    hint.write_text("../../etc/passwd")
    with pytest.raises(SourceDown, match=r"'version-hint\.text' \(there is no version"):
        iceberg_table(folder)


def test_two_files_of_one_version_are_refused(tmp_path: Path) -> None:
    stored(tmp_path, "00003-a.metadata.json")
    folder = stored(tmp_path, "00003-b.metadata.json")
    with pytest.raises(SourceDown, match=r"'00003-b\.metadata\.json' has the same version"):
        iceberg_table(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"{}", b'{"format-version": 9}', b"[" * 100_000])
def test_broken_metadata_are_named(tmp_path: Path, content: bytes) -> None:
    folder = stored(tmp_path)
    (folder / "metadata" / "v1.metadata.json").write_bytes(content)
    with pytest.raises(SourceDown, match=r"Iceberg table cannot be read: 'v1\.metadata\.json' \("):
        iceberg_table(folder)


@pytest.mark.parametrize("name", sorted(metadata(Path("/t")).keys() - {"properties", "partition-specs", "table-uuid"}))
def test_metadata_without_a_member_are_read_or_named(tmp_path: Path, name: str) -> None:
    content = metadata(tmp_path)
    del content[name]
    folder = stored(tmp_path)
    (folder / "metadata" / "v1.metadata.json").write_text(json.dumps(content))
    try:
        assert iceberg_table(folder).snapshot == "7"
    except (SourceDown, UnusableData) as error:
        assert "v1.metadata.json" in str(error) or "no rows" in str(error) or "no snapshot 7" in str(error)  # noqa: PT017


def test_values_of_broken_metadata_are_in_no_error(tmp_path: Path) -> None:
    folder = stored(tmp_path, **{"current-snapshot-id": "xyzzy"})
    with pytest.raises(SourceDown, match="current-snapshot-id") as raised:
        iceberg_table(folder)
    assert "xyzzy" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schemas": [{**SCHEMA, "fields": FIELDS * 2}]}, "two columns|v1"),
        ({"current-schema-id": 4}, "v1"), ({"snapshots": []}, "v1|no snapshot"),
    ],
)  # fmt: skip
def test_metadata_that_contradict_themselves_are_refused(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    with pytest.raises(SourceDown, match=reason):
        iceberg_table(stored(tmp_path, **change))


@pytest.mark.parametrize(
    "address", ["/etc/passwd", "file:///etc/passwd", "s3://bucket/x", "{0}/../../../etc/passwd", "{0}/data/link"]
)
def test_files_outside_of_the_folder_are_refused(tmp_path: Path, address: str) -> None:
    folder = stored(tmp_path / "t")
    (folder / "data").mkdir()
    (folder / "data" / "link").symlink_to("/etc/passwd")
    with pytest.raises(UnusableData, match="which is not in the folder of the table"):
        iceberg_table(folder).file(address.format(folder))


def test_metadata_that_are_a_link_to_the_outside_are_refused(tmp_path: Path) -> None:
    other = stored(tmp_path / "other")
    folder = tmp_path / "t"
    (folder / "metadata").mkdir(parents=True)
    (folder / "metadata" / "v1.metadata.json").symlink_to(other / "metadata" / "v1.metadata.json")
    with pytest.raises(UnusableData, match="which is not in the folder of the table"):
        iceberg_table(folder)


def test_a_file_of_no_end_is_refused(tmp_path: Path) -> None:
    folder = stored(tmp_path)
    (folder / "metadata" / "v2.gz.metadata.json").write_bytes(gzip.compress(bytes(2**24 + 1)))
    with pytest.raises(SourceDown, match="> 16777216 bytes"):
        iceberg_table(folder)


@pytest.mark.parametrize(
    ("make", "is_table"),
    [
        (lambda folder: stored(folder), True),
        (lambda folder: stored(folder, "notes.json"), False),
        (lambda folder: folder.mkdir(), False),
        (lambda folder: None, False),
    ],
)
def test_a_folder_is_a_table_by_its_metadata(tmp_path: Path, make: Callable[[Path], object], is_table: bool) -> None:
    make(tmp_path / "t")
    assert has_iceberg_metadata(tmp_path / "t") is is_table


def test_the_snapshot_of_a_source_is_that_of_its_table(tmp_path: Path) -> None:
    stored(tmp_path / "lake" / "t")
    place = Place(name="lake", kind="iceberg", folder=tmp_path / "lake", tables=("t", "out"))
    assert (snapshot_of(place, "t"), folder_of(place, "t")) == ("7", tmp_path / "lake" / "t")
    (tmp_path / "lake" / "out").symlink_to(stored(tmp_path / "outside"))
    with pytest.raises(SourceDown):
        snapshot_of(place, "out")
