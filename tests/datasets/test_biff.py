"""Old Excel files whose records claim cells that no table has are refused before the sheet is laid out."""

import struct
from pathlib import Path

import pytest

from cqox.datasets.biff import check_biff
from cqox.datasets.limits import Limits
from cqox.datasets.temp_files import Source
from cqox.errors import InputError, LimitExceeded, UnreadableFile

WORKBOOK = Path(__file__).with_name("files") / "workbook.xls"
NUMBER, DIMENSIONS = 0x0203, 0x0200


def _check(tmp_path: Path, content: bytes, limits: Limits | None = None) -> None:
    path = tmp_path / "book"
    path.write_bytes(content)
    check_biff(Source(path=str(path), size=len(content)), limits or Limits())


def _moved(content: bytes, *, row: int, column: int) -> bytes:
    """The workbook with its first number moved to another cell."""
    at = content.index(struct.pack("<HH", NUMBER, 14))
    return content[: at + 4] + struct.pack("<HH", row, column) + content[at + 8 :]


def test_an_honest_workbook_passes_and_its_extent_is_seen(tmp_path: Path) -> None:
    content = WORKBOOK.read_bytes()
    _check(tmp_path, content)
    _check(tmp_path, content, Limits(max_rows=3, max_columns=4))
    with pytest.raises(LimitExceeded):
        _check(tmp_path, content, Limits(max_rows=2))
    with pytest.raises(LimitExceeded):
        _check(tmp_path, content, Limits(max_columns=3))


def test_one_cell_far_away_is_refused(tmp_path: Path) -> None:
    content = WORKBOOK.read_bytes()
    with pytest.raises(LimitExceeded, match="columns"):
        _check(tmp_path, _moved(content, row=1, column=65_535))
    with pytest.raises(LimitExceeded, match="cells"):
        _check(tmp_path, _moved(content, row=65_535, column=4_000))


def test_a_sheet_that_claims_a_size_without_having_the_cells_is_refused(tmp_path: Path) -> None:
    content = bytearray(WORKBOOK.read_bytes())
    at = content.index(struct.pack("<HH", DIMENSIONS, 14))
    struct.pack_into("<I", content, at + 8, 0xE2000003)
    with pytest.raises(LimitExceeded, match="rows"):
        _check(tmp_path, bytes(content))
    struct.pack_into("<II", content, at + 4, 5, 4)
    with pytest.raises(UnreadableFile, match="precedes its start"):
        _check(tmp_path, bytes(content))


def test_a_file_that_leads_in_circles_or_outside_itself_is_refused(tmp_path: Path) -> None:
    content = bytearray(WORKBOOK.read_bytes())
    (table,) = struct.unpack_from("<I", content, 76)
    (directory,) = struct.unpack_from("<I", content, 48)
    for target in (directory, 1 << 20):
        broken = bytearray(content)
        struct.pack_into("<I", broken, 512 + table * 512 + directory * 4, target)
        with pytest.raises(UnreadableFile):
            _check(tmp_path, bytes(broken))


@pytest.mark.parametrize("at", [40, 44, 64, 72])
def test_a_table_of_contents_larger_than_the_file_is_refused(tmp_path: Path, at: int) -> None:
    content = bytearray(WORKBOOK.read_bytes())
    struct.pack_into("<I", content, at, 1 << 24)
    with pytest.raises(UnreadableFile, match="more than it contains"):
        _check(tmp_path, bytes(content))


def test_a_file_cut_anywhere_is_checked_or_refused_but_never_crashes(tmp_path: Path) -> None:
    content = WORKBOOK.read_bytes()
    for size in range(0, len(content), 97):
        try:
            _check(tmp_path, content[:size])
        except InputError:
            continue
