"""Parsed numbers: the same table as from text, whatever comes after the sample."""

import datetime
from unittest import mock

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cqox.datasets import Table, csv_scan, delimited, parsed_cells, typed_reading
from cqox.datasets.read_options import ReadOptions
from cqox.errors import CqoxError
from tests.datasets.conftest import MESSY_CELLS, Read

_PLAIN = {
    "whole": st.integers(-(10**6), 10**6).map(str),
    "real": st.floats(-1e6, 1e6, allow_nan=False).map(repr),
    "fixed": st.integers(-(10**4), 10**4).map(lambda cents: f"{cents / 100:.2f}"),
    "whole real": st.integers(0, 50).map(lambda number: f"{number}.0"),
    "switch": st.sampled_from("01"),
    "day": st.dates(datetime.date(2000, 1, 1), datetime.date(2030, 1, 1)).map(lambda day: day.isoformat()),
    "word": st.sampled_from(["東京", "大阪", "名古屋"]),
}
_MESSY = st.sampled_from(MESSY_CELLS)


@st.composite
def _files(draw: st.DrawFn) -> tuple[str, str]:
    """A text and its delimiter: plain cells, of which a few behind the sample are not."""
    kinds = draw(st.lists(st.sampled_from(sorted(_PLAIN)), min_size=1, max_size=4))
    rows = draw(st.integers(3, 14))
    cells = [[draw(_PLAIN[kind]) for kind in kinds] for _ in range(rows)]
    for _ in range(draw(st.integers(0, 4))):
        row = draw(st.integers(2, rows - 1) | st.just(rows - 1))
        cells[row][draw(st.integers(0, len(kinds) - 1))] = draw(_MESSY)
    delimiter, end = draw(st.sampled_from(",\t;")), draw(st.sampled_from(["\n", "\r\n"]))
    quoted = draw(st.sampled_from(["none", "some", "all"]))
    lines = []
    for row in [[f"列{place}" for place in range(len(kinds))], *cells]:
        must = [cell if quoted == "none" and '"' not in cell and delimiter not in cell else None for cell in row]
        lines.append(
            delimiter.join(
                cell if plain is not None or (quoted == "some" and cell.replace(".", "").isalnum()) else _quoted(cell)
                for cell, plain in zip(row, must, strict=True)
            )
        )
    if draw(st.booleans()):
        lines.insert(draw(st.integers(2, len(lines))), "")
    return end.join(lines) + draw(st.sampled_from(["", end])), delimiter


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def _outcome(read: Read, content: str, *, typed: bool, held: bool = True, **options: object) -> tuple[object, ...]:
    with (
        mock.patch.object(delimited, "_SPOOLED_BYTES", 0 if typed else 1 << 40),
        mock.patch.object(parsed_cells, "_HELD_BYTES", 1 << 40 if held else 0),
    ):
        try:
            table = read(content, **options)
        except CqoxError as error:
            return (type(error), str(error))
    assert isinstance(table, Table)
    return (table.frame.to_dict(as_series=False), table.frame.schema, table.description)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(file=_files(), sample=st.integers(1, 3), block=st.sampled_from([7, 40, 1 << 16]), held=st.booleans())
def test_a_table_is_the_same_parsed_and_from_text(
    read: Read, file: tuple[str, str], sample: int, block: int, held: bool
) -> None:
    content, delimiter = file
    with mock.patch.object(parsed_cells, "SAMPLE_ROWS", sample), mock.patch.object(csv_scan, "BLOCK_BYTES", 4 * block):
        parsed = _outcome(read, content, typed=True, held=held, delimiter=delimiter)
    assert parsed == _outcome(read, content, typed=False, delimiter=delimiter)


@pytest.mark.parametrize("cell", [cell for cell in MESSY_CELLS if "," not in cell and '"' not in cell])
@pytest.mark.parametrize("plain", ["7", "7.25"])
def test_one_odd_cell_in_the_last_row_is_read_as_from_text(read: Read, cell: str, plain: str) -> None:
    content = "番,値,語\n" + "".join(f"{row},{plain},語\n" for row in range(40)) + f"40,{cell},語\n"
    with mock.patch.object(parsed_cells, "SAMPLE_ROWS", 10):
        parsed = _outcome(read, content, typed=True)
    assert parsed == _outcome(read, content, typed=False)


def test_one_word_behind_the_sample_makes_text_of_a_column_and_of_no_other(read: Read) -> None:
    content = "番,値\n" + "".join(f"{row},{row}.5\n" for row in range(1500)) + "1500,東京\n"
    with mock.patch.object(delimited, "_SPOOLED_BYTES", 0):
        table = read(content)
    assert table.frame["番"].dtype == pl.Int64
    assert table.frame["値"].to_list()[-2:] == ["1499.5", "東京"]
    assert _outcome(read, content, typed=True) == _outcome(read, content, typed=False)


@pytest.mark.parametrize(
    "options", [{"na": ("7",)}, {"decimal": ","}, {"header_rows": 2}, {"header_row": 2}, {"fill_down": ("a",)}]
)
def test_options_that_look_at_texts_mean_the_same(read: Read, options: dict[str, object]) -> None:
    content = "a,b\n" + "".join(f"{row},{row / 4}\n" for row in range(20))
    assert _outcome(read, content, typed=True, **options) == _outcome(read, content, typed=False, **options)


def test_a_decimal_comma_that_shows_only_behind_the_sample_holds_for_all_columns(read: Read) -> None:
    content = "a;b\n" + "1.500;\n" * 1200 + "1.500;2,5\n" * 3
    expected = _outcome(read, content, typed=False)
    assert _outcome(read, content, typed=True) == _outcome(read, content, typed=True, held=False) == expected
    with mock.patch.object(delimited, "_SPOOLED_BYTES", 0):
        assert read(content).frame["a"][0] == 1500


def test_plain_numbers_are_never_text(read: Read) -> None:
    content = "a,b,c\n" + "".join(f"{row},{row / 8},{'' if row % 3 else row}\n" for row in range(1, 40))
    seen: list[pl.DataType] = []
    interpret = typed_reading.interpret

    def noted(cells: pl.Series, **options: object) -> object:
        seen.append(cells.dtype)
        return interpret(cells, **options)  # type: ignore[arg-type]

    with mock.patch.object(delimited, "_SPOOLED_BYTES", 0), mock.patch.object(typed_reading, "interpret", noted):
        read(content, **{field: getattr(ReadOptions(), field) for field in ("na", "decimal")})
    assert seen == [pl.Int64, pl.Float64, pl.Int64]
