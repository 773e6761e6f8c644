"""Cells of a large text are in memory as long as they are small, and parsed no more often than needed."""

from collections.abc import Iterator
from unittest import mock

import polars as pl
import pytest

from cqox.datasets import delimited, parsed_cells
from cqox.datasets.spooled_cells import SpooledCells
from tests.datasets.conftest import Read

_ROWS = 200
_PLAIN = "number,word\n" + "".join(f"{100 + row / 4:.2f},w{row % 7}\n" for row in range(_ROWS))
_PLAIN_BYTES = _ROWS * (8 + 16)


@pytest.fixture(autouse=True)
def _all_texts_are_large() -> Iterator[None]:
    with mock.patch.object(delimited, "_SPOOLED_BYTES", 0), mock.patch.object(parsed_cells, "SAMPLE_ROWS", 20):
        yield


def _on_disk(read: Read, content: str, held_bytes: int) -> list[list[str]]:
    """The columns of each table of cells that is written to disk while a text is read."""
    written: list[list[str]] = []
    write = SpooledCells.written

    def noted(cells: pl.LazyFrame, path: str, row_bytes: float) -> SpooledCells:
        written.append(cells.collect_schema().names())
        return write(cells, path, row_bytes)

    with mock.patch.object(parsed_cells, "_HELD_BYTES", held_bytes):
        with mock.patch.object(SpooledCells, "written", noted):
            table = read(content)
        with mock.patch.object(delimited, "_SPOOLED_BYTES", 1 << 40):
            assert table.frame.equals(read(content).frame)
    return written


def test_cells_are_in_memory_up_to_a_size_when_parsed(read: Read) -> None:
    assert _on_disk(read, _PLAIN, _PLAIN_BYTES + 100) == []
    assert _on_disk(read, _PLAIN, _PLAIN_BYTES - 100) == [["0", "1"]]


def test_long_texts_count_with_their_length(read: Read) -> None:
    content = "number,word\n" + "".join(f"{100 + row / 4:.2f},{row:<90}.\n" for row in range(_ROWS))
    assert _on_disk(read, content, _PLAIN_BYTES + 95 * _ROWS) == []
    assert _on_disk(read, content, _PLAIN_BYTES + 85 * _ROWS) == [["0", "1"]]


def test_long_texts_behind_the_first_rows_count_too(read: Read) -> None:
    content = _PLAIN + "".join(f"{100 + row / 4:.2f},{row:<900}.\n" for row in range(_ROWS))
    assert _on_disk(read, content, 2 * _PLAIN_BYTES + 950 * _ROWS) == []
    assert _on_disk(read, content, 2 * _PLAIN_BYTES + 850 * _ROWS) == [["0", "1"]]


@pytest.mark.parametrize(("step", "on_disk"), [(1, []), (100, [["0", "1"]])])
def test_ids_that_count_up_are_no_long_texts(read: Read, step: int, on_disk: list[list[str]]) -> None:
    content = "number,word\n" + "".join(f"{row // step * step},{row % 7}w\n" for row in range(_ROWS))
    assert _on_disk(read, content, _PLAIN_BYTES + 100) == on_disk


def test_what_turns_out_to_be_text_is_in_memory_if_there_is_room(read: Read) -> None:
    content = _PLAIN + "none of them,w0\n"
    assert _on_disk(read, content, 2 * _PLAIN_BYTES) == []
    assert _on_disk(read, content, _PLAIN_BYTES + 400) == [["0", "1"]]
    assert _on_disk(read, content, 0)[-1] == ["0"]


@pytest.mark.parametrize("held_bytes", [0, 1 << 40])
def test_a_text_of_what_its_first_rows_hold_is_parsed_once(read: Read, held_bytes: int) -> None:
    scan, parsed = pl.scan_csv, []

    def noted(*args: object, **options: object) -> pl.LazyFrame:
        parsed.append(options["n_rows"] is None)
        return scan(*args, **options)  # type: ignore[arg-type]

    with mock.patch.object(parsed_cells, "_HELD_BYTES", held_bytes), mock.patch.object(pl, "scan_csv", noted):
        read(_PLAIN)
    assert parsed == [False, True]
