"""The scan of delimited text agrees with the standard library's csv module on every text that the latter can write."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.datasets.csv_scan import scan
from cqox.datasets.limits import Limits
from cqox.errors import LimitExceeded

CELLS = st.sampled_from(
    ["a", "", "x,y", 'q"r', "n\nm", "longer text", '""', "\n", '"', "b\r\nc", "日本\n語", ",", '","']
)
ROWS = st.lists(st.lists(CELLS, max_size=5), min_size=1, max_size=12)


@dataclass
class Pieces:
    """A source whose blocks end anywhere."""

    content: bytes
    size: int

    def blocks(self, *, skip: int = 0, block_bytes: int = 0) -> Iterator[bytes]:
        for start in range(skip, len(self.content), self.size):
            yield self.content[start : start + self.size]


@given(rows=ROWS, width=st.integers(1, 5), piece=st.integers(1, 50), line_end=st.sampled_from(["\n", "\r\n"]))
def test_the_scan_sees_the_records_that_csv_sees(rows: list[list[str]], width: int, piece: int, line_end: str) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator=line_end).writerows(rows)
    text = buffer.getvalue()
    shape = scan(Pieces(text.encode(), piece), ",", width, Limits())  # type: ignore[arg-type]
    records = list(csv.reader(io.StringIO(text, newline="")))
    wrong = [(number, len(record)) for number, record in enumerate(records, 1) if record and len(record) != width]
    assert shape.records == len(records)
    assert list(shape.blank) == [position for position, record in enumerate(records) if not record]
    assert [(ragged.row, ragged.fields) for ragged in shape.ragged] == wrong[: len(shape.ragged)]
    assert shape.ragged_count == len(wrong)
    assert len(shape.ragged) >= min(len(wrong), 3)
    assert not shape.odd_quotes
    assert not shape.unclosed


@given(piece=st.integers(1, 9))
def test_quotes_where_the_standard_has_none_are_noticed(piece: int) -> None:
    for text in ('a,b\n5" pipe,1\n', 'a,b\n"x"y,1\n', 'a,b\n1, "x"\n'):
        assert scan(Pieces(text.encode(), piece), ",", 2, Limits()).odd_quotes  # type: ignore[arg-type]
    assert scan(Pieces(b'a,b\n1,"x\n2,3\n', piece), ",", 2, Limits()).unclosed  # type: ignore[arg-type]


@given(piece=st.integers(1, 40), long=st.integers(20, 60))
def test_a_field_is_measured_across_blocks(piece: int, long: int) -> None:
    for text in (f"a,b\n{'x' * long},1\n", f'a,b\n1,"{"x" * (long // 2)}\n{"y" * (long // 2)}"\n'):
        with pytest.raises(LimitExceeded):
            scan(Pieces(text.encode(), piece), ",", 2, Limits(max_field_bytes=long - 2))  # type: ignore[arg-type]
        scan(Pieces(text.encode(), piece), ",", 2, Limits(max_field_bytes=long + 4))  # type: ignore[arg-type]


def test_rows_are_counted_before_anything_is_parsed() -> None:
    content = b"a\n" + b"1\n" * 100
    with pytest.raises(LimitExceeded, match="rows"):
        scan(Pieces(content, 10), ",", 1, Limits(max_rows=50))  # type: ignore[arg-type]


_BEGINNINGS = st.sampled_from(["", "0", "01", "-01", "+0", "0.5", " 1", "\t1", "1", "語"])


@given(
    rows=st.integers(1, 3).flatmap(
        lambda width: st.lists(st.lists(_BEGINNINGS, min_size=width, max_size=width), min_size=1, max_size=8)
    ),
    delimiter=st.sampled_from(",\t;"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoted=st.booleans(),
    blank=st.integers(0, 12),
    piece=st.sampled_from([1, 5, 12, 1000]),
)
def test_empty_cells_are_counted_and_odd_beginnings_noted_by_column(
    rows: list[list[str]], delimiter: str, end: str, quoted: bool, blank: int, piece: int
) -> None:
    width = len(rows[0])
    quoted = quoted or width == 1 or delimiter == "\t"
    lines = [delimiter.join(f'"{cell}"' if quoted else cell for cell in row) for row in rows]
    lines.insert(min(blank, len(lines)), "")
    text = end.join(lines) + end
    shape = scan(Pieces(text.encode(), piece), delimiter, width, Limits(), cells=True)  # type: ignore[arg-type]
    columns = list(zip(*rows, strict=True))
    lone = 1 if width == 1 else 0
    assert shape.empty.tolist() == [sum(not cell for cell in column) + lone for column in columns]
    assert shape.odd.tolist() == [any(re.match(r"[ \t]|[-+]?0\d", cell) for cell in column) for column in columns]
    assert shape.records == len(lines)
    assert not shape.ragged_count


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_lines_within_a_cell_are_no_cells(piece: int) -> None:
    shape = scan(Pieces(b'a,b\n"x\n\n01",1\n"y\n,\n 1",2\n', piece), ",", 2, Limits(), cells=True)  # type: ignore[arg-type]
    assert shape.empty.tolist() == [0, 0]


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_an_empty_cell_between_tabs_begins_with_no_tab(piece: int) -> None:
    shape = scan(Pieces(b"a\tb\tc\n1\t\t2\n\t3\t\n", piece), "\t", 3, Limits(), cells=True)  # type: ignore[arg-type]
    assert shape.empty.tolist() == [1, 1, 1]
    assert shape.odd.tolist() == [False, False, False]
