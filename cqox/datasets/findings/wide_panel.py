"""Columns that are the periods of one measure: y2001, y2002, y2003 or 売上_1月, 売上_2月."""

import json
from collections.abc import Sequence

from cqox.contract import DataFinding, Remedy
from cqox.contract.messages import Message
from cqox.datasets.table import Column
from cqox.datasets.typed_columns import Cells
from cqox.datasets.wide_columns import is_regular, measures_of

__all__ = ["wide_panel"]

_SHOWN = 5


def wide_panel(frame: Cells, columns: Sequence[Column]) -> list[DataFinding]:
    """Return a finding where numbers of at least three successive periods stand in a column each.

    Columns of 0 and 1 are indicators of periods, and not measures.
    """
    amounts = [column.name for column in columns if column.kind in ("real", "count")]
    regular = [measure for measure in measures_of(amounts) if is_regular(measure)]
    if not regular:
        return []
    # Measures of other kinds of periods cannot be rows of the same panel.
    largest = max(regular, key=lambda measure: len(measure.columns))
    names = [name for each in regular if each.kind == largest.kind for name in each.columns.values()]
    ordered = [column.name for column in columns if column.name in set(names)]
    period = "period" if "period" not in frame.columns else "period_of_column"
    parameters = {"columns": ordered, "period": period}
    return [
        DataFinding(
            code="wide-panel",
            severity="caps",
            columns=ordered,
            message=Message("findings.wide-panel", columns=ordered[:_SHOWN], number=len(ordered)),
            remedy=Remedy(at="upload", parameters={"unpivot": json.dumps(parameters, ensure_ascii=False)}),
        )
    ]
