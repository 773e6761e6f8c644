"""Differences between estimates by sums in an engine and those of the same rows in memory."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from unittest.mock import patch

import numpy as np
import polars as pl

from cqox.estimators import Data, Estimate, Plan, Settings, run
from cqox.estimators.by_moments import score_cuts
from cqox.estimators.by_moments.catalog import BY_MOMENTS
from cqox.estimators.by_moments.rounds import run_rounds
from cqox.estimators.numerics.moments import Moments
from tests.estimators.by_moments.tables_of import (
    AT_CUTOFF,
    ESTIMATORS,
    OF_LOGS,
    OF_POPULATIONS,
    OVER_TIME,
    STAGGERED,
    SYNTHETIC,
    around_cutoff,
    block,
    figures,
    log_of_actions,
    over_time,
    panel,
    populations,
    series,
    study,
    tables,
    without_covariates,
)

__all__ = ["BOUND", "largest_difference", "largest_differences"]

BOUND = 1e-8
"""The largest relative difference that the documentation allows."""

_SMALL = 1e-3
_DESIGNS: tuple[dict[str, int], ...] = ({}, {"clusters": 300, "weights": True})


def _studies() -> Iterable[tuple[Data, list[str]]]:
    """Yield rows, and the estimates to make of them: those of one table share its passes."""
    for design in _DESIGNS:
        others = [
            name for name in BY_MOMENTS if name not in ("iv_wald", *OVER_TIME, *AT_CUTOFF, *OF_LOGS, *OF_POPULATIONS)
        ]
        yield over_time(study(**design, instruments=2)), others
        yield panel(**design), ["twfe", *STAGGERED]
        yield series(**design), ["interrupted_series"]
        yield without_covariates(study(**design, instruments=1)), ["iv_wald"]
        yield around_cutoff(**design), ["rd_local_linear", "rd_density_test"]
        yield around_cutoff(**design, fuzzy=True), ["rd_fuzzy"]
        yield log_of_actions(**design), list(OF_LOGS)
        yield populations(**design), list(OF_POPULATIONS)
    for units in (1, 11):
        yield block(treated=units), list(SYNTHETIC)


def largest_differences(store: Callable[[pl.DataFrame], Moments]) -> dict[str, float]:
    """Return the largest relative difference of each estimate, over all its numbers in all designs.

    Raises:
        AssertionError: an estimate could not be made.
    """
    largest = dict.fromkeys(BY_MOMENTS, 0.0)
    for data, names in _studies():
        made = tables(data, source=lambda columns: store(pl.DataFrame(columns)))
        # Few enough rows that those around a quantile are looked for.
        with patch.object(score_cuts, "MOST_ROWS", 500):
            found = run_rounds(made, {name: partial(BY_MOMENTS[name], made) for name in names})
        memory = Plan(data, Settings())
        for name in names:
            estimate = found[name]
            assert isinstance(estimate, Estimate), f"{name}: {estimate}"
            difference = largest_difference(figures(run(ESTIMATORS[name], memory)), figures(estimate))
            largest[name] = max(largest[name], difference)
    return largest


def largest_difference(memory: Mapping[str, float], sums: Mapping[str, float]) -> float:
    """Return the largest relative difference over the numbers that both have.

    Numbers below .001 are compared relative to .001. Where only one of two is known, the difference is infinite.

    Raises:
        AssertionError: they have fewer than seven numbers in common.
    """
    places = sorted(memory.keys() & sums.keys())
    assert len(places) >= 7, f"only {places} are in both"
    left, right = (np.array([each[place] for place in places]) for each in (memory, sums))
    known = np.isfinite(left) & np.isfinite(right)
    if not np.array_equal(left[~known], right[~known], equal_nan=True):
        return float("inf")
    left, right = left[known], right[known]
    return float(np.max(np.abs(left - right) / np.maximum(np.abs(left), _SMALL), initial=0.0))
