import os
from pathlib import Path

import pytest

from cqox.errors import SourceDown
from cqox.sources import Place, files_of, partitions_of, snapshot_of


def lake(folder: Path, **members: object) -> Place:
    return Place(name="lake", kind="parquet", folder=folder, tables=("lake", "part"), **members)


def test_a_table_is_a_file_or_a_folder_or_the_folder_itself(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    for name in ("b.parquet", "part/a.parquet", "notes.txt"):
        (tmp_path / name).touch()
    assert files_of(lake(tmp_path), "lake") == [tmp_path / "b.parquet", tmp_path / "part/a.parquet"]
    assert files_of(lake(tmp_path), "part") == [tmp_path / "part/a.parquet"]
    assert files_of(lake(tmp_path), "b.parquet") == [tmp_path / "b.parquet"]
    with pytest.raises(SourceDown, match="no data for the table 'none'"):
        files_of(lake(tmp_path), "none")


def test_a_table_of_csv_files_is_their_folder(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv.gz", "c.parquet"):
        (tmp_path / name).touch()
    drop = Place(name="drop", kind="csv", folder=tmp_path, tables=("drop",))
    assert files_of(drop, "drop") == [tmp_path / "a.csv.gz", tmp_path / "b.csv"]
    assert snapshot_of(drop, "drop")


def test_what_other_programs_leave_is_no_part_and_names_of_folders_are_columns(tmp_path: Path) -> None:
    (tmp_path / "part" / "year=2024").mkdir(parents=True)
    (tmp_path / "part" / "_temporary").mkdir()
    for name in ("part/year=2024/a.parquet", "part/.b.parquet", "part/_temporary/c.parquet", "one.parquet"):
        (tmp_path / name).touch()
    place = lake(tmp_path)
    files = files_of(place, "part")
    assert files == [tmp_path / "part/year=2024/a.parquet"]
    assert partitions_of(place, "part", files) == {"year": ("2024",)}
    assert partitions_of(place, "one.parquet", files_of(place, "one.parquet")) == {}
    own = lake(tmp_path, files=tuple(files))
    assert files_of(own, "whatever") == files
    assert partitions_of(own, "whatever", files) == {"year": ("2024",)}


def test_a_snapshot_is_stated_or_that_of_the_files(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"1")
    os.utime(path, ns=(1, 1))
    first = snapshot_of(lake(tmp_path), "lake")
    assert first == snapshot_of(lake(tmp_path), "lake")
    os.utime(path, ns=(1, 2))
    second = snapshot_of(lake(tmp_path), "lake")
    path.write_bytes(b"12")
    os.utime(path, ns=(1, 2))
    assert len({first, second, snapshot_of(lake(tmp_path), "lake")}) == 3
    assert snapshot_of(lake(tmp_path, as_of="v1"), "lake") == "v1"
    assert snapshot_of(Place(name="shop", kind="postgres", tables=("t",)), "t") is None


def test_a_table_of_which_a_part_is_missing_is_down(tmp_path: Path) -> None:
    for name in ("part/a.parquet", "part/sub/b.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    link = tmp_path / "part/year=2024"
    link.symlink_to(tmp_path / "gone")
    for table in ("part", "lake"):
        with pytest.raises(SourceDown, match=f"'{table}' of the source 'lake' cannot be read as a whole. .*year=2024"):
            files_of(lake(tmp_path), table)
    link.unlink()
    link.symlink_to(tmp_path / "part/sub")
    with pytest.raises(SourceDown, match="link to a folder"):
        snapshot_of(lake(tmp_path), "part")
    link.unlink()
    (tmp_path / "part/latest.parquet").symlink_to(tmp_path / "part/a.parquet")
    with pytest.raises(SourceDown, match="would count twice"):
        files_of(lake(tmp_path), "part")
