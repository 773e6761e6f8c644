"""Files that are no table, or too large, are refused with what to change; bombs are stopped early."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import polars as pl
import pytest
import zstandard

from cqox.datasets import Limits, ReadOptions, read_table
from cqox.errors import InputError, InvalidRequest, LimitExceeded, NotFound, UnreadableFile, UnusableData
from tests.datasets.conftest import Read

FILES = Path(__file__).with_name("files")
TEXT = "店舗ID,処置,売上,y\n007,あり,1300,0.5\n008,なし,980,-1.25\n009,あり,,3.0\n010,なし,45,0.001\n"
FRAME = pl.DataFrame({"a": ["p", "q", "r", "s"], "b": [1, 2, 3, 4], "c": [0.5, 1.5, 2.5, 3.5], "d": list("xyxy")})


def _written(write: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def _sheet(frame: pl.DataFrame) -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (frame.columns, *frame.rows()):
        book.active.append(row)
    return _written(book.save)


def _zip(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv", content)
    return buffer.getvalue()


FORMATS: dict[str, Callable[[pl.DataFrame], bytes]] = {
    "csv": lambda frame: frame.write_csv().encode(),
    "old Macintosh csv": lambda frame: frame.write_csv().replace("\n", "\r").encode(),
    "json lines": lambda frame: frame.write_ndjson().encode(),
    "json array": lambda frame: frame.write_json().encode(),
    "parquet": lambda frame: _written(frame.write_parquet),
    "arrow file": lambda frame: _written(lambda buffer: frame.write_ipc(buffer)),
    "arrow stream": lambda frame: _written(lambda buffer: frame.write_ipc_stream(buffer)),
    "xlsx": _sheet,
}
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "zip": _zip,
}
OTHERS = {
    "PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "Linux program": b"\x7fELF\x02\x01\x01\x00",
    "SQLite": b"SQLite format 3\x00\x10\x00",
    "NumPy": b"\x93NUMPY\x01\x00v\x00{'descr'}",
    "HDF5": b"\x89HDF\r\n\x1a\n\x00",
    "Stata": b"<stata_dta><header>",
    "SPSS": b"$FL2@(#) SPSS DATA FILE",
    "HTML": b"\xef\xbb\xbf\n<!DOCTYPE html><html><body>log in</body></html>",
    "XML": b"<?xml version='1.0'?><rows><row/></rows>",
    "7-Zip": b"7z\xbc\xaf'\x1c\x00\x04",
    "tar": b"a.csv".ljust(257, b"\0") + b"ustar\x0000" + bytes(248),
    "media": b"\x00\x00\x00\x18ftypmp42",
}


@pytest.mark.parametrize("what", OTHERS)
def test_something_else_than_a_table_is_named_with_what_was_tried(read: Read, what: str) -> None:
    for content in (OTHERS[what], gzip.compress(OTHERS[what])):
        with pytest.raises(UnreadableFile, match=f"(?s){what}.*tried.*Parquet.*Excel.*JSON.*delimited"):
            read(content)


def test_random_bytes_are_refused_and_never_decoded_with_replacement(read: Read) -> None:
    state = 12345
    for size in (10, 100, 5000):
        content = bytearray()
        for _ in range(size):
            state = (state * 1103515245 + 12345) % 2**31
            content.append(state >> 16 & 0xFF)
        with pytest.raises(UnreadableFile):
            read(bytes(content))


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"\xef\xbb\xbf", UnreadableFile, "(?i)empty|white space|blank"),
        (gzip.compress(b"", mtime=0), UnreadableFile, "empty"),
        (b"y,w\n,\n,\n", UnusableData, "no rows"),
        (b"y,w\n1,2\n1\n3,4\n1,2,3\n", UnreadableFile, "row 3 has 1.*row 5 has 3"),
        (b"y,w\n1,2\n\xff\xff\n", UnreadableFile, r"utf-8.*cp932.*euc_jp.*8"),
        (b"y,w\n1,2\n3,\x00\n", UnreadableFile, "zero byte"),
        (FORMATS["parquet"](FRAME)[:-8], UnreadableFile, "Parquet"),
        (b"PAR1" + bytes(100) + b"\xff\xff\xff\x7fPAR1", UnreadableFile, "Parquet"),
        (FORMATS["arrow file"](FRAME)[:200], UnreadableFile, "Arrow"),
        (FORMATS["arrow stream"](FRAME)[:100], UnreadableFile, "Arrow"),
        (b"\xff\xff\xff\xff" + bytes(100), UnreadableFile, "Arrow"),
        (FORMATS["xlsx"](FRAME)[:900], UnreadableFile, "(?i)zip|workbook"),
        ((FILES / "workbook.xls").read_bytes()[:3000], UnreadableFile, "(?i)workbook|document"),
        (b'{"a":1}\n{"a":\n', UnreadableFile, "[Ll]ine 2"),
        (b'[{"a":1},]', UnreadableFile, "[Ee]lement 2"),
        (b'[{"a":1}', UnreadableFile, "too early"),
        (b'[{"a":1}] x', UnreadableFile, "after the end"),
        (b'{"a":1,\n"b":{"c":2}}', UnreadableFile, "one object"),
        (b'{"a":[1,2],"b":[1]}', UnreadableFile, "different lengths"),
        (b'{"a":"\\ud800"}\n', UnreadableFile, "surrogate"),
        (b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}\n", UnreadableFile, "deep"),
        (b'[{"a":' + b"[" * 800 + b"]" * 800 + b"}]", UnreadableFile, "deep"),
    ],
)
def test_what_is_no_table_is_refused_with_what_to_change(
    read: Read, content: bytes, error: type[InputError], says: str
) -> None:
    with pytest.raises(error, match=f"(?s){says}"):
        read(content)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_table(tmp_path / "none.csv", name="none.csv", limits=Limits(), options=ReadOptions())


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_bomb_is_stopped_by_its_ratio_before_it_is_expanded(read: Read, compression: str) -> None:
    expanded = b"y,w\n1," + b"0" * (36 << 20)
    bomb = COMPRESSIONS[compression](expanded)
    assert len(bomb) * 200 < len(expanded)
    with pytest.raises(LimitExceeded, match="times its size"):
        read(bomb)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_expansion_stops_at_the_limit_on_expanded_bytes(read: Read, compression: str) -> None:
    content = COMPRESSIONS[compression](b"y,w\n" + b"1,0\n" * 30_000)
    with pytest.raises(LimitExceeded, match="decompresses to more than 50,000 bytes"):
        read(content, limits=Limits(max_expanded_bytes=50_000))


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(max_rows=3), "rows"),
        (Limits(max_columns=3), "4 columns"),
        (Limits(max_cells=15), "at most"),
        (Limits(max_bytes=10), "bytes"),
    ],
    ids=["rows", "columns", "cells", "bytes"],
)
def test_limits_on_size_hold_in_every_format(read: Read, format_: str, limits: Limits, says: str) -> None:
    with pytest.raises(LimitExceeded, match=says):
        read(FORMATS[format_](FRAME), limits=limits)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_table_exactly_at_the_limits_is_read(read: Read, format_: str) -> None:
    assert read(FORMATS[format_](FRAME), limits=Limits(max_rows=4, max_columns=4, max_cells=16)).rows == 4


@pytest.mark.parametrize("format_", FORMATS)
def test_a_cell_longer_than_the_limit_is_refused(read: Read, format_: str) -> None:
    frame = pl.DataFrame({"a": ["x", "y" * 300], "b": [1, 2]})
    with pytest.raises(LimitExceeded):
        read(FORMATS[format_](frame), limits=Limits(max_field_bytes=200))


def test_texts_that_a_dictionary_makes_small_are_measured_as_they_would_be_in_memory(read: Read) -> None:
    frame = pl.DataFrame({"a": ["y" * 10_000] * 2_000, "b": range(2_000)})
    content = _written(frame.write_parquet)
    assert len(content) < 100_000
    with pytest.raises(LimitExceeded):
        read(content, limits=Limits(max_expanded_bytes=1_000_000))


def test_two_cells_in_opposite_corners_of_a_sheet_do_not_cost_all_of_memory(read: Read) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active["A1"] = "h"
    book.active["XFD1048576"] = 1
    with pytest.raises(LimitExceeded):
        read(_written(book.save))


def test_an_archive_of_several_files_names_them(read: Read) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("one.csv", TEXT)
        archive.writestr("two.csv", TEXT)
    with pytest.raises(UnreadableFile, match=r"one\.csv, two\.csv"):
        read(buffer.getvalue())


def test_the_word_of_the_client_beats_the_guess(read: Read) -> None:
    assert read("café;n\nré;2\n".encode("cp1252"), encoding="cp1252").frame.columns == ["café", "n"]
    assert read("a|b;c\n1|2;3\n", delimiter=";").frame.columns == ["a|b", "c"]
    assert read("a;b\n1,300;2\n2,500;3\n", decimal=",").frame["a"].to_list() == [1.3, 2.5]
    assert read("a;b\n1,300;2\n2,500;3\n").frame["a"].to_list() == [1300, 2500]
    assert read("a,b\n-,x\n999,y\n5,z\n", na=["999"]).frame["a"].to_list() == ["-", None, "5"]


def test_an_encoding_that_does_not_fit_is_refused_with_the_offset(read: Read) -> None:
    with pytest.raises(UnreadableFile, match=r"(?s)utf-8.*byte offset 0"):
        read(TEXT.encode("cp932"), encoding="utf-8")


@pytest.mark.parametrize(
    "options",
    [
        {"encoding": "nope"},
        {"encoding": "base64"},
        {"encoding": "punycode"},
        {"delimiter": "x"},
        {"decimal": ":"},
        {"decimal": ",", "delimiter": ","},
    ],
)
def test_an_impossible_option_is_an_invalid_request(options: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        ReadOptions(**options)


def test_a_sheet_is_chosen_by_name_or_position_and_a_wrong_one_is_named(read: Read) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.title = "空"
    for title in ("一", "二"):
        sheet = book.create_sheet(title)
        sheet.append(["列"])
        sheet.append([title])
        sheet.append([title])
    content = _written(book.save)
    assert read(content).frame["列"].to_list() == ["一", "一"]
    assert any("二" in note for note in read(content).notes)
    assert read(content, sheet="二").frame["列"].to_list() == ["二", "二"]
    assert read(content, sheet=1).frame["列"].to_list() == ["一", "一"]
    with pytest.raises(InvalidRequest) as caught:
        read(content, sheet="三")
    assert caught.value.choices == ("空", "一", "二")


def test_an_old_excel_file_is_read(read: Read) -> None:
    table = read((FILES / "workbook.xls").read_bytes())
    assert table.frame["店舗ID"].to_list() == ["007", "008", "009"]
    assert table.frame["売上"].to_list() == [1300.5, 1 / 3, None]
    assert [column.kind for column in table.columns] == ["id", "real", "date", "binary"]


def test_foreign_parquet_types_become_the_few_that_are_known(read: Read) -> None:
    table = read((FILES / "foreign.parquet").read_bytes())
    columns = {column.name: column for column in table.columns}
    assert table.frame["dec"].to_list() == [1.1, None, 2.25]
    assert table.frame["u64"].to_list() == ["9223372036854775808", "1", "2"]
    assert table.frame["bin"].to_list() == ["あ", "x", None]
    assert table.frame["bool"].to_list() == ["true", "false", None]
    assert (columns["nan"].missing, columns["nan"].infinite) == (2, 1)
    assert columns["ts"].kind == "date"
    known = (pl.Int64, pl.Float64, pl.String, pl.Enum, pl.Date, pl.Datetime)
    assert all(dtype in known for dtype in table.frame.dtypes)


def test_reading_does_not_change_the_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    content = gzip.compress(TEXT.encode("cp932"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = tmp_path / "f"
    path.write_bytes(content)
    read_table(path, name="f", limits=Limits(), options=ReadOptions(), scratch=scratch)
    assert path.read_bytes() == content
    assert list(scratch.iterdir()) == []


def test_reading_twice_gives_the_same_description_to_the_last_note(read: Read) -> None:
    content = "a,b,c\n" + "".join(f"{i % 7},{'NA' if i % 5 == 0 else i},値{i % 60}\n" for i in range(500))
    assert read(content).description == read(content).description
