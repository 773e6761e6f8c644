"""Folders of files that are parts of one table."""

from pathlib import Path

import polars as pl
import pytest

from cqox.datasets import Limits, ReadOptions, join_files, read_table
from cqox.errors import UnreadableFile
from cqox.sources import parts_of


def join(folder: Path, target: Path) -> None:
    parts = parts_of(folder)
    assert parts is not None
    join_files(parts.files, target, is_text=parts.format == "text", partitions=parts.partitions)


def joined(folder: Path, target: Path) -> pl.DataFrame:
    join(folder, target)
    return read_table(target, name="joined", limits=Limits(), options=ReadOptions()).frame


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parts" / "year=2024").mkdir(parents=True)
    (tmp_path / "parts" / ".hidden").write_text("x")
    (tmp_path / "parts" / "_SUCCESS").touch()
    return tmp_path / "parts"


def test_parquet_files_are_joined_by_the_names_of_their_columns(folder: Path, tmp_path: Path) -> None:
    pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}).write_parquet(folder / "1.parquet")
    pl.DataFrame({"b": ["z", "z"], "a": [3.5, 4.0]}).write_parquet(folder / "year=2024" / "2.parquet")
    assert joined(folder, tmp_path / "one")["a"].to_list() == [1.0, 2.0, 3.5, 4.0]
    pl.DataFrame({"a": [5], "c": [True]}).write_ipc(folder / "3.arrow")
    assert joined(folder, tmp_path / "two").height == 5


def test_values_in_the_names_of_folders_are_columns_unless_a_file_has_them(folder: Path, tmp_path: Path) -> None:
    (folder / "year=2025").mkdir()
    (folder / "year=__HIVE_DEFAULT_PARTITION__").mkdir()
    pl.DataFrame({"a": [1, 2]}).write_parquet(folder / "year=2024" / "1.parquet")
    pl.DataFrame({"a": [3], "year": [1999]}).write_parquet(folder / "year=2025" / "1.parquet")
    pl.DataFrame({"a": [4]}).write_parquet(folder / "year=__HIVE_DEFAULT_PARTITION__" / "1.parquet")
    assert joined(folder, tmp_path / "one")["year"].to_list() == [2024, 2024, 1999, None]


def test_texts_with_the_same_header_are_joined_whatever_their_ends(folder: Path, tmp_path: Path) -> None:
    (folder / "1.csv").write_bytes(b"a,b\n1,x\n2,y")
    (folder / "2.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n3,x\r\n")
    (folder / "3.csv").write_bytes(b"a,b\n")
    (folder / "4.csv").write_bytes(b"a,b\n4,y\n")
    assert joined(folder, tmp_path / "one")["a"].to_list() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no file that ends in"), ({"1.csv": b"a,b\n1,2\n", "2.csv": b"b,a\n1,2\n"}, "'1.csv' and '2.csv' differ"),
        ({"1.csv": b"a\n1\n", "2.parquet": b"PAR1"}, "mixes formats"), ({"1.parquet": b"PAR1"}, "'1.parquet' .*cannot"),
    ],
)  # fmt: skip
def test_files_that_are_no_parts_of_one_table_are_named(
    folder: Path, tmp_path: Path, files: dict[str, bytes], reason: str
) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with pytest.raises(UnreadableFile, match=reason):
        join(folder, tmp_path / "joined")


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_a_folder_whose_name_reads_like_a_pattern_is_that_folder(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "data [1]"
    folder.mkdir()
    frame = pl.DataFrame({"y": [1]})
    (frame.write_parquet if form == "parquet" else frame.write_ipc)(folder / f"a.{form}")
    assert joined(folder, tmp_path / "target").rows() == [(1,)]
