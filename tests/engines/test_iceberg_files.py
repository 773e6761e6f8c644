"""Manifests of Iceberg tables: which files are part of a snapshot, and damage that must not go unseen."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import MANIFEST_LIST_FILE_SCHEMAS, write_manifest_list
from pyiceberg.table import StaticTable

from cqox.engines.iceberg_files import snapshot_files
from cqox.errors import SourceDown, UnusableData
from cqox.sources import iceberg_table
from tests.sources.iceberg_tables import changed, folder_of, metadata_file, rows, written


def test_files_are_those_that_pyiceberg_lists(tmp_path: Path) -> None:
    table = written(tmp_path, *(rows(float(number)) for number in range(12)))
    table.delete("y = 3")
    planned = StaticTable.from_metadata(str(metadata_file(table))).scan().plan_files()
    found = [each.path.as_uri() for each in snapshot_files(iceberg_table(folder_of(table))).data]
    assert sorted(found) == sorted(each.file.file_path for each in planned)


def _manifests(folder: Path) -> list[Path]:
    return sorted((folder / "metadata").glob("*.avro"))


def test_a_manifest_that_is_cut_is_named_and_never_read_in_part(tmp_path: Path) -> None:
    folder = folder_of(written(tmp_path, rows(1.0), rows(2.0)))
    snapshot = iceberg_table(folder)
    used = {snapshot.file(snapshot.manifests).name} | {name.name for name in _manifests(folder) if "-m0" in name.name}
    assert len(used) == 3
    for file in (folder / "metadata" / name for name in used):
        content = file.read_bytes()
        header = content.index(content[-16:]) + 16
        sizes = {*range(0, len(content), 37), header}
        if file.name.startswith("snap-"):
            # No other file has the length of a list. Without a block it is the list of an empty table.
            sizes = (sizes | set(range(len(content) - 300, len(content)))) - {header}
        for size in sorted(sizes):
            file.write_bytes(content[:size])
            with pytest.raises(SourceDown, match=re.escape(f"'{file.name}' (")):
                snapshot_files(snapshot)
        file.write_bytes(content)
    assert len(snapshot_files(snapshot).data) == 2


def test_a_manifest_with_other_bytes_is_an_error_or_as_it_was(tmp_path: Path) -> None:
    folder = folder_of(written(tmp_path, rows(1.0), rows(2.0)))
    snapshot = iceberg_table(folder)
    random = np.random.default_rng(3)
    failed = 0
    for file in _manifests(folder):
        content = file.read_bytes()
        for _ in range(150):
            changed_bytes = bytearray(content)
            changed_bytes[random.integers(len(content))] ^= 1 << int(random.integers(8))
            file.write_bytes(changed_bytes)
            try:
                assert len(snapshot_files(snapshot).data) <= 2
            except (SourceDown, UnusableData):
                failed += 1
        file.write_bytes(content)
    assert failed > 50


def test_a_manifest_with_another_number_of_files_than_its_list_says_is_an_error(tmp_path: Path) -> None:
    table = written(tmp_path, rows(1.0))
    snapshot = table.current_snapshot()
    assert snapshot is not None
    (manifest,) = snapshot.manifests(table.io)
    counts = [field.name for field in MANIFEST_LIST_FILE_SCHEMAS[2].fields].index("added_files_count")
    manifest[counts] = 2
    target = table.io.new_output(snapshot.manifest_list.replace("snap-", "other-"))
    with write_manifest_list(2, target, snapshot.snapshot_id, None, 1, "deflate") as listed:
        listed.add_manifests([manifest])

    def named(content: dict[str, Any]) -> None:
        content["snapshots"][-1]["manifest-list"] = target.location

    with pytest.raises(SourceDown, match=r"\(1 files, and not 2\)"):
        snapshot_files(iceberg_table(changed(table, named)))


def test_a_manifest_that_names_a_file_outside_reads_nothing_of_it(tmp_path: Path) -> None:
    table = written(tmp_path, rows(1.0))
    outside = tmp_path / "outside.parquet"
    pq.write_table(rows(5.0), outside)

    def named(content: dict[str, Any]) -> None:
        content["snapshots"][-1]["manifest-list"] = f"file://{outside}"

    folder = folder_of(table)
    file = metadata_file(table)
    before = file.read_text()
    with pytest.raises(UnusableData, match=r"'outside\.parquet', which is not in the folder"):
        snapshot_files(iceberg_table(changed(table, named)))
    file.write_text(before)
    (data,) = (folder / "data").glob("*.parquet")
    data.rename(outside)
    data.symlink_to(outside)
    with pytest.raises(UnusableData, match="which is not in the folder"):
        snapshot_files(iceberg_table(folder))


def test_a_manifest_that_is_gone_is_named(tmp_path: Path) -> None:
    folder = folder_of(written(tmp_path, rows(1.0)))
    for file in sorted(_manifests(folder), key=lambda file: file.name.startswith("snap-")):
        file.unlink()
        with pytest.raises(SourceDown, match=f"'{file.name}' of the Iceberg table 'visits' is not there"):
            snapshot_files(iceberg_table(folder))
