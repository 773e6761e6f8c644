"""CSV files in place that are not UTF-8."""

import gzip
from pathlib import Path

import pytest

from cqox.datasets import read_table
from cqox.engines.csv_encodings import utf8_files
from cqox.engines.place_opening import opened_table
from cqox.errors import InputError, UnreadableFile

TEXT = "店舗,売上\n" + "".join(f"{'東京' if row % 2 else '大阪'},{row}.5\n" for row in range(20))


def _opened(path: Path, folder: Path) -> list[tuple[object, ...]]:
    place = {"source": "files", "table": path.name, "files": [str(path)], "format": "csv", "own": True}
    with opened_table(place, folder, threads=1, after_read=lambda: None, ask=_no_server) as table:
        return table.read(None, list(table.kinds)).rows()


def _no_server(question: object) -> bytes:
    raise AssertionError(question)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "euc_jp", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_values_are_those_of_a_file_that_is_read(tmp_path: Path, encoding: str, suffix: str) -> None:
    path, folder = tmp_path / f"t{suffix}", tmp_path / "spilled"
    content = TEXT.encode(encoding)
    path.write_bytes(gzip.compress(content) if suffix == ".csv.gz" else content)
    assert _opened(path, folder) == read_table(path, name=path.name).frame.rows()
    assert not folder.exists() or not list(folder.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        "name,y\nCafé à la crème;é\xff,1\n".encode("latin-1"),
        b"id,y\n1,\x002\n3,4\n",
        b"id,y\n1,2\n3,4,5\n6,7\n",
        b"id,y\n1,2\n3\n6,7\n",
        b'id,y\n1,"2\n3,4\n',
    ],
    ids=["latin-1", "zero byte", "too many cells", "too few cells", "quote"],
)
def test_what_cannot_be_read_is_refused_with_the_same_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile) as read:
        read_table(path, name="t.csv")
    with pytest.raises(InputError) as placed:
        _opened(path, tmp_path / "spilled")
    assert str(placed.value) == str(read.value)
    assert type(placed.value) is UnreadableFile


def test_a_file_that_begins_in_ascii_says_its_encoding(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"id,y\n" + b"a,1\n" * 300_000 + "東京,2\n".encode("cp932"))
    with pytest.raises(UnreadableFile, match=r"'t\.csv' is text in cp932 whose first MiB is ASCII"):
        _opened(path, tmp_path / "spilled")


def test_files_in_utf8_are_not_copied(tmp_path: Path) -> None:
    one, other = tmp_path / "1.csv", tmp_path / "2.csv"
    one.write_text(TEXT, encoding="utf-8")
    other.write_text(TEXT, encoding="cp932")
    with utf8_files([one, other], tmp_path / "spilled") as files:
        assert files[0] == one
        assert files[1].name == "2.csv"
        assert files[1].read_text(encoding="utf-8") == TEXT
    assert not files[1].exists()
