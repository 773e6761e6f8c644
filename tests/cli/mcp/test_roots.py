import os
from pathlib import Path

import pytest

from cqox.cli.mcp.roots import Roots
from cqox.errors import InvalidRequest, NotFound


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "年" / ".hidden").mkdir(parents=True)
    for name in ("sales.csv", "年/売上.xlsx", "年/.hidden/a.csv", ".b.csv", "notes.md"):
        (folder / name).write_text("a,b", encoding="utf-8")
    (tmp_path / "secret.csv").write_text("a", encoding="utf-8")
    (folder / "out.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "up").symlink_to(tmp_path)
    return folder


def names(roots: Roots, folder: str = "") -> list[str]:
    return [each["path"] for each in roots.listing(folder)["files"]]  # type: ignore[index,union-attr,call-overload]


def test_tables_are_listed_without_hidden_files_and_links(data: Path):
    roots = Roots([data])
    assert names(roots) == ["sales.csv", "年/売上.xlsx"]
    assert names(roots, "年") == ["年/売上.xlsx"]
    assert all(roots.file(name).is_file() for name in names(roots))


def test_with_several_folders_names_are_absolute(data: Path):
    roots = Roots([data / "年", data])
    assert set(names(roots)) == {str(data / "年/売上.xlsx"), str(data / "sales.csv")}
    assert roots.file("sales.csv") == data / "sales.csv"
    assert roots.file(str(data / "年/売上.xlsx")).name == "売上.xlsx"


@pytest.mark.parametrize(
    "path",
    ["../secret.csv", "out.csv", "up/secret.csv", "/etc/passwd", "年/../../secret.csv", "../none", "~/a", "a\0b"],
)
def test_no_path_leads_out_and_none_says_whether_a_file_exists_there(data: Path, path: str):
    roots = Roots([data])
    with pytest.raises((InvalidRequest, NotFound)) as refused:
        roots.file(path)
    assert isinstance(refused.value, NotFound) == (path == "~/a")
    assert "secret" not in str(refused.value).replace(path, "")
    with pytest.raises(InvalidRequest) as refused_folder:
        roots.listing(path)
    assert refused_folder.value.field == "folder"


def test_a_missing_file_is_answered_with_similar_names(data: Path):
    with pytest.raises(NotFound) as refused:
        Roots([data]).file("sale.csv")
    assert refused.value.choices == ("sales.csv",)


def test_only_regular_files_are_read(data: Path):
    os.mkfifo(data / "pipe.csv")
    for name in ("pipe.csv", "年", ""):
        with pytest.raises(InvalidRequest, match="regular file"):
            Roots([data]).file(name)


def test_a_root_must_be_a_folder_and_may_be_a_link_to_one(data: Path, tmp_path: Path):
    with pytest.raises(InvalidRequest):
        Roots([data / "sales.csv"])
    (tmp_path / "link").symlink_to(data)
    assert names(Roots([tmp_path / "link"])) == ["sales.csv", "年/売上.xlsx"]


def test_a_long_listing_is_cut_and_says_so(tmp_path: Path):
    for number in range(201):
        (tmp_path / f"{number:03}.csv").touch()
    answer = Roots([tmp_path]).listing("")
    assert (len(names(Roots([tmp_path]))), answer["more"]) == (200, True)
