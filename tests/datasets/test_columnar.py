"""Parquet and Arrow bring types of their own, which become the few that are kept."""

import datetime
import decimal
import io

import polars as pl
import pytest

from cqox.datasets import Limits, columnar
from cqox.errors import LimitExceeded, UnreadableFile

WRITERS = ["write_parquet", "write_ipc", "write_ipc_stream"]


def written(frame: pl.DataFrame, write: str = "write_parquet", **options: object) -> bytes:
    buffer = io.BytesIO()
    getattr(frame, write)(buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("write", WRITERS)
def test_every_type_becomes_one_of_the_kept_types(write, read):
    day, moment = datetime.date(2024, 1, 5), datetime.datetime(2024, 1, 5, 10, 30)
    frame = pl.DataFrame(
        {
            "i8": pl.Series([1, None, 3], dtype=pl.Int8),
            "u32": pl.Series([1, 2, 2**32 - 1], dtype=pl.UInt32),
            "f32": pl.Series([0.5, None, 2.25], dtype=pl.Float32),
            "dec": pl.Series([decimal.Decimal("1.10"), None, decimal.Decimal("2.25")]),
            "bool": [True, None, False],
            "cat": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
            "enum": pl.Series(["p", None, "q"], dtype=pl.Enum(["q", "p"])),
            "date": [day, None, day],
            "moment": [moment, None, moment],
            "zoned": pl.Series([moment, None, moment]).dt.replace_time_zone("Asia/Tokyo"),
            "time": [datetime.time(1, 2), None, datetime.time(3)],
            "lasting": [datetime.timedelta(seconds=90), None, datetime.timedelta(0)],
            "null": pl.Series([None, None, None]),
            "list": [[1, 2], None, []],
            "struct": [{"a": 1}, {"a": 2}, None],
        }
    )
    values = {series.name: series.to_list() for series in read(written(frame, write)).frame}
    assert values["i8"] == [1, None, 3]
    assert values["u32"] == [1, 2, 2**32 - 1]
    assert values["f32"] == [0.5, None, 2.25]
    assert values["dec"] == [1.1, None, 2.25]
    assert values["bool"] == ["true", None, "false"]
    assert values["cat"] == ["x", "y", "x"]
    assert values["enum"] == ["p", None, "q"]
    assert values["date"] == [day, None, day]
    assert values["moment"] == [moment, None, moment]
    assert values["zoned"] == [moment - datetime.timedelta(hours=9), None, moment - datetime.timedelta(hours=9)]
    assert values["lasting"] == [90, None, 0]
    assert values["null"] == [None, None, None]
    assert values["list"] == ["[1,2]", None, "[]"]
    assert values["struct"] == ['{"a":1}', '{"a":2}', None]


def test_infinity_and_nan_are_missing_and_counted(read):
    (column,) = read(written(pl.DataFrame({"v": [1.5, float("inf"), float("nan"), float("-inf")]}))).columns
    assert (column.missing, column.infinite, column.minimum, column.maximum) == (3, 2, 1.5, 1.5)
    assert "2 infinite cells are treated as missing (row 2, 4)." in column.notes


def test_whole_numbers_beyond_a_float_keep_their_digits_as_text(read):
    table = read(written(pl.DataFrame({"id": [2**60 + 1, 2**60 + 3, 5]})))
    assert table.frame["id"].to_list() == [str(2**60 + 1), str(2**60 + 3), "5"]
    assert table.columns[0].kind == "id"


def test_whole_floats_are_the_same_column_as_integers(read):
    floats = read(written(pl.DataFrame({"v": [1.0, 2.0, 30.0]}))).frame
    assert floats.equals(read("v\n1\n2\n30\n").frame)


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "brotli", "lz4", "uncompressed"])
def test_every_compression_inside_parquet_is_read(compression, read):
    frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"]})
    assert read(written(frame, compression=compression)).frame.rows() == frame.rows()


@pytest.mark.parametrize("compression", ["zstd", "lz4", "uncompressed"])
def test_every_compression_inside_arrow_is_read(compression, read):
    frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"]})
    assert read(written(frame, "write_ipc", compression=compression)).frame.rows() == frame.rows()


@pytest.mark.parametrize("write", WRITERS)
def test_a_billion_rows_of_nothing_are_refused_by_their_number(write, read):
    frame = pl.DataFrame({"a": pl.repeat(0, 200_000, eager=True, dtype=pl.Int8)})
    with pytest.raises(LimitExceeded, match="rows"):
        read(written(frame, write), limits=Limits(max_rows=100_000))


@pytest.mark.parametrize("write", WRITERS)
def test_damage_anywhere_is_an_unreadable_file_or_harmless(write, read):
    content = bytearray(written(pl.DataFrame({"a": range(300), "b": ["x", "y", "z"] * 100}), write))
    for position in range(8, len(content), max(1, len(content) // 60)):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        try:
            read(bytes(damaged))
        except (UnreadableFile, LimitExceeded):
            continue


def test_headers_are_named_as_in_any_other_format(read):
    frame = pl.DataFrame({"": [1, 2], " a ": [3, 4]})
    table = read(written(frame))
    assert table.frame.columns == ["column_1", "a"]
    assert [column.original_name for column in table.columns] == ["", " a "]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Asia/Tokyo", "America/New_York"])
def test_moments_outside_the_calendar_are_missing_with_a_note(unit, zone, read):
    moments = pl.Series("t", [0, None, 2**62, -(2**62), 86_400_000]).cast(pl.Datetime(unit, zone))
    table = read(written(pl.DataFrame([moments])))
    outside = 0 if unit == "ns" else 2
    assert table.frame["t"].null_count() == 1 + outside
    assert any("outside the years" in note for note in table.notes) == (outside > 0)


def test_days_outside_the_calendar_are_missing_with_a_note(read):
    table = read(
        written(pl.DataFrame({"d": pl.Series([0, 2**31 - 1, -(2**31), 19_000], dtype=pl.Int32).cast(pl.Date)}))
    )
    assert table.frame["d"].to_list() == [datetime.date(1970, 1, 1), None, None, datetime.date(2022, 1, 8)]
    assert "'d': 2 cells outside the years 1 to 9999 are treated as missing." in table.notes


def test_the_first_and_the_last_day_of_the_calendar_are_kept(read):
    days = [datetime.date(1, 1, 1), datetime.date(2024, 1, 5), datetime.date(9999, 12, 31)]
    moments = [datetime.datetime(1, 1, 1), datetime.datetime(2024, 1, 5, 12), datetime.datetime(9999, 12, 31, 23, 59)]
    utc = pl.Series(moments).dt.replace_time_zone("UTC")
    table = read(written(pl.DataFrame({"d": days, "t": moments, "u": utc})))
    assert table.frame["d"].to_list() == days
    assert table.frame["t"].to_list() == moments
    assert table.frame["u"].dt.replace_time_zone(None).to_list() == moments
    assert not table.notes
    lines = "".join(f"{day.isoformat()},{moment.isoformat()}\n" for day, moment in zip(days, moments, strict=True))
    texts = read(f"d,t\n{lines}").frame
    assert texts["d"].to_list() == days
    assert texts["t"].to_list() == moments


@pytest.mark.parametrize("text", ["0000-01-01", "0001-01-01T00:00:00+09:00", "9999-12-31T23:00:00-09:00"])
def test_a_text_outside_the_calendar_stays_text(text, read):
    assert read(f"d\n2024-01-05\n{text}\n").frame["d"].to_list() == ["2024-01-05", text]


@pytest.fixture
def by_column(monkeypatch):
    monkeypatch.setattr(columnar, "_SPOOLED_CELLS", 0)


def test_a_file_that_is_read_by_column_gives_the_same_table(read, monkeypatch):
    moments = pl.Series([0, 2**62, None, 86_400_000]).cast(pl.Datetime("us"))
    frame = pl.DataFrame(
        {
            "": [1, 2, 3, 4],
            "t": moments,
            " w ": ["1,5", None, "2,5", "3"],
            "v": [1.0, float("inf"), None, 2.5],
            "x": "a",
        }
    )
    content = written(frame, row_group_size=2)
    whole = read(content)
    monkeypatch.setattr(columnar, "_SPOOLED_CELLS", 0)
    parts = read(content)
    assert parts.frame.equals(whole.frame)
    assert parts.frame.schema == whole.frame.schema
    assert parts.description == whole.description


def test_damage_anywhere_is_found_by_column_too(read, by_column):
    test_damage_anywhere_is_an_unreadable_file_or_harmless("write_parquet", read)


def test_a_long_cell_is_refused_by_column_too(read, by_column):
    with pytest.raises(LimitExceeded, match="a"):
        read(written(pl.DataFrame({"a": ["x" * 100, "y"]})), limits=Limits(max_field_bytes=50))
    with pytest.raises(LimitExceeded):
        read(written(pl.DataFrame({"a": ["x" * 40, "y"], "b": ["z" * 40, "y"]})), limits=Limits(max_expanded_bytes=60))
