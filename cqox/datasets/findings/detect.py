"""Findings that a table shows without a mapping."""

from collections.abc import Callable, Sequence

from cqox.contract import DataFinding
from cqox.datasets.findings.duplicate_rows import duplicate_rows
from cqox.datasets.findings.header_row import header_row
from cqox.datasets.findings.header_rows import header_rows
from cqox.datasets.findings.merged_cells import merged_cells
from cqox.datasets.findings.mixed_dates import mixed_dates
from cqox.datasets.findings.periods import periods
from cqox.datasets.findings.sum_rows import sum_rows
from cqox.datasets.findings.totals_rows import totals_rows
from cqox.datasets.findings.wide_panel import wide_panel
from cqox.datasets.findings.yes_or_blank import yes_or_blank
from cqox.datasets.table import Column
from cqox.datasets.typed_columns import Cells

__all__ = ["detect", "detect_rows"]

type _Detector = Callable[[Cells, Sequence[Column]], list[DataFinding]]

_OF_ROWS: tuple[_Detector, ...] = (totals_rows, sum_rows, duplicate_rows)
_OF_COLUMNS: tuple[_Detector, ...] = (merged_cells, wide_panel, periods, mixed_dates, yes_or_blank)


def detect(
    frame: Cells, columns: Sequence[Column], *, proposed_header_row: int | None = None
) -> tuple[DataFinding, ...]:
    """Return the findings of a table.

    A header that is elsewhere or of several rows makes text of every column, so where there is one, nothing else is
    looked for.

    Args:
        frame: the typed columns.
        columns: their descriptions, in the same order.
        proposed_header_row: the row of the file that is more likely the header than the one that was read.
    """
    if proposed_header_row is not None:
        return (header_row(proposed_header_row),)
    headers = header_rows(frame, columns)
    if headers:
        return tuple(headers)
    return tuple(finding for find in (*_OF_ROWS, *_OF_COLUMNS) for finding in find(frame, columns))


def detect_rows(frame: Cells, columns: Sequence[Column]) -> tuple[DataFinding, ...]:
    """Return the findings that dropping rows settles."""
    return tuple(finding for find in _OF_ROWS for finding in find(frame, columns))
