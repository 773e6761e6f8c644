"""Columns of a mark for yes and an empty cell for no: ○, ✓ or x."""

from collections.abc import Sequence

from cqox.contract import DataFinding, Remedy
from cqox.contract.messages import Message
from cqox.datasets.marks import is_mark
from cqox.datasets.table import Column
from cqox.datasets.typed_columns import Cells, different_rows

__all__ = ["yes_or_blank"]


def yes_or_blank(frame: Cells, columns: Sequence[Column]) -> list[DataFinding]:
    """Return a finding for each column whose only value is a mark."""
    found = []
    for column in columns:
        if column.dtype not in ("string", "enum") or column.distinct != 1 or not column.missing:
            continue
        mark = str(different_rows(frame, column.name)[0])
        if is_mark(mark):
            found.append(
                DataFinding(
                    code="yes-or-blank",
                    severity="caps",
                    columns=[column.name],
                    message=Message(
                        "findings.yes-or-blank", column=column.name, mark=mark, yes=column.count, no=column.missing
                    ),
                    remedy=Remedy(at="analyze", parameters={"yes_no": [column.name]}),
                )
            )
    return found
