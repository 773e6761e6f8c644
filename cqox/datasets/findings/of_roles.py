"""Findings that need a mapping: covariates that are empty for most rows, and those that are the outcome once more."""

from collections.abc import Callable, Sequence

import polars as pl

from cqox.contract import DataFinding, Options
from cqox.datasets.findings.mostly_empty import mostly_empty
from cqox.datasets.findings.outcome_as_covariate import outcome_as_covariate

__all__ = ["of_roles"]


def of_roles(
    column: Callable[[str], pl.Series], *, outcome: str | None, covariates: Sequence[str], options: Options
) -> list[DataFinding]:
    """Return the findings on the covariates of a mapping.

    Args:
        column: returns a column by its name.
        outcome: the column of the outcome.
        covariates: the columns that are adjusted for.
        options: of the request.
    """
    found = [] if options.missing == "indicator" else mostly_empty(column, covariates)
    return found if outcome is None else [*found, *outcome_as_covariate(column, outcome, covariates)]
