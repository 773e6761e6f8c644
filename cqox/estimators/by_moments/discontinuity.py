"""Regression discontinuities of all rows, by the estimators of rows in memory.

Their bandwidths and variances by nearest neighbours need single rows, and the first of their windows has most of these;
but of each row only the running variable, the outcome and what is adjusted for. So these columns are fetched.
"""

from dataclasses import replace

from cqox.errors import UnusableData
from cqox.estimators.by_moments.fetched import fetched_plan
from cqox.estimators.by_moments.rounds import Steps
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.catalog import catalog, run
from cqox.estimators.estimate import Estimate
from cqox.estimators.plan import Plan

__all__ = ["density", "fuzzy", "sharp"]

_OF_OUTCOMES = ("y", "treatment", "covariates", "time")


def sharp(tables: Tables) -> Steps:
    """Return the jump of the outcome at the cutoff."""
    yield from ()
    return _estimate(fetched_plan(tables, *_OF_OUTCOMES), "rd_local_linear")


def fuzzy(tables: Tables) -> Steps:
    """Return the ratio of the jumps of outcome and treatment at the cutoff."""
    yield from ()
    return _estimate(fetched_plan(tables, *_OF_OUTCOMES), "rd_fuzzy")


def density(tables: Tables) -> Steps:
    """Return the jump of the running variable's density at the cutoff."""
    yield from ()
    return _estimate(fetched_plan(tables), "rd_density_test")


def _estimate(plan: Plan, name: str) -> Estimate:
    found = run(next(entry for entry in catalog() if entry.name == name), plan)
    if found.estimate is None:
        assert found.reason is not None
        raise UnusableData(found.reason)
    # Its influence function is of other rows than those of the sample.
    return replace(found, influence=None)
