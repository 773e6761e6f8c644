"""Covariates that are empty for most rows, which leave an analysis with the few that have them."""

from collections.abc import Callable, Sequence

import polars as pl

from cqox.contract import DataFinding, Remedy
from cqox.contract.messages import Message

__all__ = ["mostly_empty"]

_MOST = 0.5


def mostly_empty(column: Callable[[str], pl.Series], covariates: Sequence[str]) -> list[DataFinding]:
    """Return a finding for each covariate without a value in more than half of the rows.

    Args:
        column: returns a column by its name.
        covariates: names of the covariates.
    """
    found = []
    for name in covariates:
        series = column(name)
        if series.null_count() > _MOST * series.len():
            found.append(
                DataFinding(
                    code="mostly-empty-covariate",
                    severity="caps",
                    columns=[name],
                    rows=[int(row) + 1 for row in series.is_null().arg_true().head(3)],
                    message=Message(
                        "findings.mostly-empty-covariate", column=name, empty=series.null_count(), rows=series.len()
                    ),
                    remedy=Remedy(at="analyze", parameters={"missing": "indicator"}),
                )
            )
    return found
