"""Folders and patterns as the parts of one table."""

import multiprocessing
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from cqox.errors import UnreadableFile
from cqox.sources import Parts, parts_of


def made(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def found(path: Path) -> Parts:
    parts = parts_of(path)
    assert parts is not None
    return parts


def test_a_folder_has_the_files_that_are_its_own(tmp_path: Path) -> None:
    wanted = made(tmp_path, "_m=1/b.parquet", "a.parquet", "sub/c.pq")
    made(tmp_path, "_SUCCESS", ".a.parquet.crc", ".x/a.parquet", "_temporary/0/a.parquet", "notes.md")
    assert found(tmp_path) == Parts(base=tmp_path, files=tuple(wanted), format="parquet")


def test_one_file_has_no_parts_whatever_its_name(tmp_path: Path) -> None:
    made(tmp_path, "a.csv", "part-[1].csv")
    for name in ("a.csv", "part-[1].csv", "absent.csv", "n" * 5000, "a\0b"):
        assert parts_of(tmp_path / name) is None


def test_a_pattern_names_files_and_the_files_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, deep = made(tmp_path, "d/part-1.csv", "d/part-2.csv.gz", "d/year=2024/part-3.csv")
    made(tmp_path, "d/other.csv", "d/_SUCCESS", "d/.part-9.csv")
    assert found(tmp_path / "d/part-*.csv*") == Parts(base=tmp_path / "d", files=(one, two), format="text")
    assert found(tmp_path / "d/part-*").compressed == two
    assert found(tmp_path / "d/year=*").files == (deep,)
    assert found(tmp_path / "d/**/part-[13].csv").files == (one, deep)
    monkeypatch.chdir(tmp_path)
    assert found(Path("d/part-1*")).files == (one,)
    with pytest.raises(UnreadableFile, match=r"No file matches '.*/d/none-\*'"):
        parts_of(tmp_path / "d/none-*")


def test_values_in_names_of_folders_are_those_below_the_base(tmp_path: Path) -> None:
    base = tmp_path / "env=prod"
    made(base, "a.parquet", "year=2024/my%20area=a%2Fb/b.parquet", "year=__HIVE_DEFAULT_PARTITION__/c.parquet")
    assert found(base).partitions == {"year": (None, "2024", None), "my area": (None, "a/b", None)}
    assert found(base / "year=*").partitions["year"] == ("2024", None)
    assert found(base / "year=2024").partitions == {"my area": ("a/b",)}


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["notes.md", "_SUCCESS"], r"no file that ends in .*\.parquet"), (["a.csv", "b.parquet"], "mixes formats"),
        (["_delta_log/0.json", "a.parquet"], "Delta Lake"), ([".hoodie/x", "a.parquet"], "Hudi"),
        (["metadata/v1.metadata.json", "data/a.parquet"], "Iceberg"),
    ],
)  # fmt: skip
def test_a_folder_that_is_no_one_table_says_why(tmp_path: Path, names: list[str], reason: str) -> None:
    made(tmp_path, *names)
    with pytest.raises(UnreadableFile, match=reason):
        parts_of(tmp_path)


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("gone.csv"))


def _folder_link(path: Path) -> None:
    made(path.parents[2], "outside/b.csv")
    path.symlink_to(path.parents[2] / "outside")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_dangling, r"'sub/x' in the folder 'd' is a link that cannot be followed: No such file"),
        (lambda path: path.symlink_to(path), r"'sub/x' in the folder 'd' is a link that cannot be followed: Too many"),
        (_folder_link, r"'sub/x' in the folder 'd' is a link to a folder, which is not followed"),
        (os.mkfifo, r"sub/x is a pipe or a device"),
    ],
)
def test_what_may_be_a_part_of_a_folder_and_is_not_read_is_an_error(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    made(tmp_path, "d/a.csv", "d/sub/c.csv")
    make(tmp_path / "d/sub/x")
    for path in (tmp_path / "d", tmp_path / "d/**", tmp_path / "d/s*"):
        with pytest.raises(UnreadableFile, match=reason):
            parts_of(path)


@pytest.mark.parametrize("make", [_dangling, os.mkfifo])
def test_what_a_pattern_names_and_is_not_read_is_an_error(tmp_path: Path, make: Callable[[Path], None]) -> None:
    made(tmp_path, "a.csv")
    make(tmp_path / "x.csv")
    with pytest.raises(UnreadableFile, match=r"x\.csv"):
        parts_of(tmp_path / "*.csv")
    assert found(tmp_path / "a*").files == (tmp_path / "a.csv",)


@pytest.mark.parametrize("name", [".x", "_x", "_temporary/x"])
def test_links_that_are_hidden_are_no_parts(tmp_path: Path, name: str) -> None:
    (wanted,) = made(tmp_path, "d/a.csv")
    made(tmp_path, f"d/{name}~")
    _dangling(tmp_path / "d" / name)
    (tmp_path / "d" / f"{name}2").symlink_to(tmp_path)
    assert found(tmp_path / "d").files == found(tmp_path / "d/*").files == (wanted,)


def test_a_link_to_a_file_and_a_folder_that_is_named_by_a_link_are_followed(tmp_path: Path) -> None:
    made(tmp_path, "d/a.csv", "outside/b.csv")
    (tmp_path / "d/b.csv").symlink_to(tmp_path / "outside/b.csv")
    (tmp_path / "link").symlink_to(tmp_path / "d")
    assert found(tmp_path / "link").files == (tmp_path / "link/a.csv", tmp_path / "link/b.csv")
    assert found(tmp_path / "li*").files == (tmp_path / "link/a.csv", tmp_path / "link/b.csv")


@pytest.mark.parametrize(("link", "target", "path"), [("d/b.csv", "d/a.csv", "d"), ("d/sub", "d", "d/**/*.csv")])
def test_a_file_whose_rows_would_count_twice_is_an_error(tmp_path: Path, link: str, target: str, path: str) -> None:
    made(tmp_path, "d/a.csv")
    (tmp_path / link).symlink_to(tmp_path / target)
    with pytest.raises(UnreadableFile, match="are one file, by a link, and its rows would count twice"):
        parts_of(tmp_path / path)


def _parts_as_another_user(path: Path) -> str:
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        return str(parts_of(path))
    except UnreadableFile as error:
        return str(error)


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    made(tmp_path, "d/a.csv", "d/sub/c.csv", "e/a.csv", "e/_temporary/c.csv")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o5 != 0o5:
            folder.chmod(0o755)
    for name in ("d/sub", "e/_temporary"):
        (tmp_path / name).chmod(0o700 if os.geteuid() == 0 else 0o000)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        said, hidden = pool.map(_parts_as_another_user, [tmp_path / "d", tmp_path / "e"])
    assert said == f"The file {tmp_path}/d/sub cannot be read: Permission denied."
    assert hidden == str(Parts(base=tmp_path / "e", files=(tmp_path / "e/a.csv",), format="text"))


@pytest.mark.parametrize(("name", "refused"), [("a.csv", False), ("a.csv.gz", True), ("y=1/a.csv", True)])
def test_text_with_values_outside_of_its_lines_is_not_joined(tmp_path: Path, name: str, refused: bool) -> None:
    made(tmp_path, name)
    with pytest.raises(UnreadableFile, match="only analysed where it is") if refused else nullcontext():
        found(tmp_path).check_joinable()


def test_arrow_files_are_read_whole(tmp_path: Path) -> None:
    made(tmp_path, "a.arrow", "y=1/b.parquet")
    assert found(tmp_path).format == "columnar"
    found(tmp_path).check_joinable()
