"""Any table in any format, encoding and compression is the same table."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable

import openpyxl
import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cqox.datasets import Limits, Table
from cqox.errors import LimitExceeded, UnreadableFile, UnusableData

ROWS = [
    {"店舗": "渋谷", "処置": "あり", "売上": 1300.5, "客数": 12, "日付": "2024-01-05", "メモ": None},
    {"店舗": "梅田", "処置": "なし", "売上": 980.25, "客数": 7, "日付": "2024-01-06", "メモ": "雨,風"},
    {"店舗": "博多", "処置": "なし", "売上": -3.125, "客数": 0, "日付": "2024-01-07", "メモ": '"引用"'},
    {"店舗": "渋谷", "処置": "あり", "売上": 0.1, "客数": 5, "日付": "2024-01-08", "メモ": "改\n行"},
]
KINDS = {"店舗": "category", "処置": "binary", "売上": "real", "客数": "count", "日付": "date"}


def delimited(delimiter: str, encoding: str = "utf-8", end: str = "\n") -> bytes:
    def cell(value: object) -> str:
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in (delimiter, '"', "\n")) else text

    lines = [delimiter.join(ROWS[0]), *(delimiter.join(map(cell, row.values())) for row in ROWS)]
    return (end.join(lines) + end).encode(encoding)


def frame() -> pl.DataFrame:
    return pl.DataFrame(ROWS).with_columns(pl.col("日付").str.to_date())


def written(write: str) -> bytes:
    buffer = io.BytesIO()
    getattr(frame(), write)(buffer)
    return buffer.getvalue()


def workbook() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(ROWS[0]))
    for row in frame().rows():
        sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


FORMATS: dict[str, Callable[[], bytes]] = {
    "comma": lambda: delimited(","),
    "tab": lambda: delimited("\t"),
    "semicolon": lambda: delimited(";"),
    "bar": lambda: delimited("|"),
    "crlf": lambda: delimited(",", end="\r\n"),
    "json lines": lambda: "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode(),
    "json array": lambda: json.dumps(ROWS, indent=2).encode(),
    "json columns": lambda: json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]}).encode(),
    "parquet": lambda: written("write_parquet"),
    "arrow": lambda: written("write_ipc"),
    "arrow stream": lambda: written("write_ipc_stream"),
    "excel": workbook,
}
ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "cp932",
    "euc_jp",
    "iso2022_jp",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "utf-32-le",
    "utf-32-be",
]


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("table.dat", content)
    return buffer.getvalue()


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "xz": lzma.compress,
    "zip": zipped,
}


def check_is_the_table(table: Table) -> None:
    assert table.rows == len(ROWS)
    assert [column.name for column in table.columns] == list(ROWS[0])
    assert {column.name: column.kind for column in table.columns if column.name in KINDS} == KINDS
    values = table.frame.with_columns(pl.col(pl.Enum).cast(pl.String))
    assert values.rows() == frame().rows()


@pytest.mark.parametrize("name", FORMATS)
def test_a_table_is_the_same_in_every_format(name, read):
    check_is_the_table(read(FORMATS[name]()))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_table_is_the_same_under_every_compression(name, compression, read):
    table = read(COMPRESSIONS[compression](FORMATS[name]()))
    check_is_the_table(table)
    assert table.compression == compression


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_table_is_the_same_in_every_encoding(encoding, delimiter, read):
    table = read(delimited(delimiter, encoding))
    check_is_the_table(table)
    expected = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(encoding, encoding)
    assert table.encoding == expected


@pytest.mark.parametrize("encoding", [*ENCODINGS, "shift_jis", "sjis", "EUC-JP", "UTF8"])
def test_the_encoding_asked_for_is_used(encoding, read):
    check_is_the_table(read(delimited(",", encoding), encoding=encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "cp932", "euc_jp", "utf-16"])
def test_compressed_text_in_any_encoding_is_the_same_table(encoding, read):
    check_is_the_table(read(gzip.compress(delimited(",", encoding))))


def test_two_layers_of_compression_are_opened_and_three_are_not(read):
    content = gzip.compress(zstandard.ZstdCompressor().compress(delimited(",")))
    table = read(content)
    check_is_the_table(table)
    assert table.compression == "zstd in gzip"
    with pytest.raises(UnreadableFile, match="more than 2 layers"):
        read(bz2.compress(content))


def test_an_empty_file_is_refused(read):
    with pytest.raises(UnreadableFile, match="empty"):
        read(b"")
    with pytest.raises(UnreadableFile, match="empty"):
        read(gzip.compress(b""))


@pytest.mark.parametrize("content", [b" ", b"\n\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n", "　\n".encode()])
def test_a_file_of_white_space_is_refused(content, read):
    with pytest.raises(UnreadableFile):
        read(content)


@pytest.mark.parametrize("content", ["a,b\n", "a,b", "a,b\n\n\n", "a,b\n,\n,\n"])
def test_a_header_without_rows_is_refused_with_its_columns(content, read):
    with pytest.raises(UnusableData, match=r"no rows.*a, b"):
        read(content)


def test_a_header_only_is_refused_in_every_format(read):
    empty = frame().clear()
    for write in ("write_parquet", "write_ipc", "write_ipc_stream"):
        buffer = io.BytesIO()
        getattr(empty, write)(buffer)
        with pytest.raises(UnusableData, match="no rows"):
            read(buffer.getvalue())


def test_the_size_as_sent_is_limited(read):
    with pytest.raises(LimitExceeded, match="at most 10"):
        read("a,b\n1,2\n3,4\n", limits=Limits(max_bytes=10))


@pytest.mark.parametrize("name", FORMATS)
def test_rows_and_columns_are_limited_in_every_format(name, read):
    content = FORMATS[name]()
    with pytest.raises(LimitExceeded, match="rows"):
        read(content, limits=Limits(max_rows=3))
    with pytest.raises(LimitExceeded, match="columns"):
        read(content, limits=Limits(max_columns=5))
    check_is_the_table(read(content, limits=Limits(max_rows=4, max_columns=6)))


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_short_is_refused_or_read_as_far_as_whole_records_go(name, read):
    content = FORMATS[name]()
    for size in range(1, len(content), max(1, len(content) // 40)):
        try:
            read(content[:size])
        except (UnreadableFile, UnusableData):
            continue


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compressed_data_cut_short_are_refused(compression, read):
    content = COMPRESSIONS[compression](delimited(",") * 50)
    with pytest.raises(UnreadableFile):
        read(content[: len(content) * 2 // 3])


text = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Zs", "Co", "Cn"]),
    min_size=1,
    max_size=8,
).map(lambda word: "w" + word)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.lists(
        st.tuples(text, st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False)), min_size=1
    ),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be"]),
    delimiter=st.sampled_from([",", "\t", ";", "|"]),
)
def test_any_table_of_words_and_numbers_survives_delimited_text(table, encoding, delimiter, read):
    import csv
    import unicodedata

    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["word", "whole", "real"])
    writer.writerows([(word, whole, repr(real)) for word, whole, real in table])
    found = read(buffer.getvalue().encode(encoding), delimiter=delimiter)
    values = found.frame.with_columns(pl.col(pl.Enum).cast(pl.String))
    assert values["word"].to_list() == [unicodedata.normalize("NFC", word) for word, _, _ in table]
    assert values["whole"].cast(pl.Float64).to_list() == [float(whole) for _, whole, _ in table]
    assert values["real"].cast(pl.Float64).to_list() == [real for _, _, real in table]


japanese = st.text(
    st.one_of(
        st.characters(min_codepoint=0x3041, max_codepoint=0x3093),
        st.characters(min_codepoint=0x30A1, max_codepoint=0x30F3),
        st.sampled_from("日本東京都大阪府売上処置群結果対照店舗名古屋福岡県札幌市横浜港区渋谷新宿"),
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(japanese, min_size=1, max_size=30),
    encoding=st.sampled_from(["utf-8", "cp932", "euc_jp", "utf-16", "iso2022_jp"]),
)
def test_japanese_words_are_read_in_the_encoding_that_they_were_written_in(words, encoding, read):
    content = "名前,値\n" + "".join(f"語{word},{number}\n" for number, word in enumerate(words))
    found = read(content.encode(encoding))
    assert found.columns[0].name == "名前"
    assert found.frame["名前"].cast(pl.String).to_list() == [f"語{word}" for word in words]


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-32-be"])
def test_a_last_byte_that_is_part_of_a_character_is_no_end_of_file_mark(encoding, read):
    table = read("処置,y\nあり,1\nなし,业".encode(encoding), encoding=encoding)
    assert table.frame["y"].to_list() == ["1", "业"]


@pytest.mark.parametrize("word", ["店舗", "処置", "性別", "県", "群", "売上", "結果", "年齢", "月日", "あり", "データ"])
@pytest.mark.parametrize("encoding", ["cp932", "euc_jp"])
def test_one_japanese_word_is_enough_to_detect_the_encoding(word, encoding, read):
    assert read(f"{word},v\n1,2\n".encode(encoding)).columns[0].name == word


@pytest.mark.parametrize("word", ["ﾃｽﾄ", "ﾔﾏﾀﾞ", "ｼﾐｽﾞ", "ﾒﾓ", "ﾃﾞｰﾀ"])
def test_one_word_of_half_width_katakana_is_no_rare_kanji(word, read):
    assert read(f"{word},v\n1,2\n".encode("cp932")).columns[0].name == word


@pytest.mark.parametrize("line", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n'])
def test_a_line_that_names_the_delimiter_is_no_header(line, read):
    assert read(line + "a;b\n1;2\n3;4\n").frame.rows() == [(1, 2), (3, 4)]


def test_a_quote_in_tab_separated_text_may_be_a_character(read):
    table = read('size\tn\n"5 inch\t1\n6" pipe\t2\n')
    assert table.frame["size"].to_list() == ['"5 inch', '6" pipe']
    assert any("literally" in note for note in table.notes)
    with pytest.raises(UnreadableFile, match="never closed"):
        read('size,n\n"5 inch,1\n6,2\n')


@pytest.mark.parametrize(
    ("cells", "missing"),
    [
        (["○", "-", "○"], 0),
        (["+", "-", "+"], 0),
        (["あり", "なし", "-"], 1),
        (["1", "-", "3"], 1),
        (["東京", "-", "大阪"], 1),
    ],
)
def test_a_lone_mark_is_missing_unless_it_is_a_level(cells, missing, read):
    assert read("v,n\n" + "".join(f"{cell},1\n" for cell in cells)).columns[0].missing == missing
