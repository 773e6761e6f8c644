"""The first stage of a fuzzy discontinuity: its strength, and its direction in halves of the covariates."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cqox.diagnostics.holm import holm
from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Json, Plan
from cqox.estimators.rd.jump import jump
from cqox.estimators.rd.study import Study

__all__ = ["first_stage"]

_MOST_COVARIATES = 5
_FEWEST_ROWS = 20
"""Rows within the bandwidth on each side, of a half of a covariate."""


def first_stage(plan: Plan, of: Study) -> Json:
    """Return the effective F of the treatment's jump, and its jumps in both halves of each covariate.

    With one instrument the effective F of Montiel Olea and Pflueger 2013 (doi 10.1080/00401706.2013.806694) is the
    robust F; it is that of the bias-corrected jump, as the Anderson-Rubin set is. `opposite_p_value` is of the test, by
    Holm over the halves, that no half has a jump against the direction of the whole.
    """
    errors, corrected = of.errors(of.jump, [0.0, 1.0]), float(of.jump.corrected[1])
    strength = (corrected / errors.robust) ** 2 if errors.robust > 0 else None
    halves = _halves(plan, of, math.copysign(1.0, corrected))
    against = holm([value for half in halves if isinstance(value := half["opposite_p_value"], float)])
    return {
        "effective_f": number(strength),
        "treatment_jump": corrected,
        "standard_error": errors.robust,
        "halves": [*halves],
        "opposite_p_value": min(against) if against else None,
    }


def _halves(plan: Plan, of: Study, direction: float) -> list[dict[str, Json]]:
    found: list[dict[str, Json]] = []
    if not plan.has("covariates"):
        return found
    labels = plan.labels("covariates")
    for column in range(min(len(labels), _MOST_COVARIATES)):
        values = of.sample.take(plan.data.covariates[:, column])
        middle = float(np.median(values))
        # Of a covariate of two levels the median is one of them.
        high = values > middle if (values > middle).any() else values >= middle
        for half, rows in (("low", ~high), ("high", high)):
            row = _half(of, rows, direction)
            if row is not None:
                found.append({"covariate": labels[column], "half": half, **row})
    return found


def _half(of: Study, rows: NDArray[np.bool_], direction: float) -> dict[str, Json] | None:
    """Return the treatment's jump among some rows at the bandwidth of all; None where there are too few."""
    below, above = (replace(side, values=side.values[1:2]).only(rows[side.rows]) for side in of.sides)
    if min(below.within(of.jump.h), above.within(of.jump.h)) < _FEWEST_ROWS:
        return None
    try:
        found = jump((below, above), of.jump.h, of.jump.b, covariates=0, residual=of.residual, order=of.order)
    except UnusableData:
        return None
    error = of.errors(found, [1.0]).robust
    if not error > 0:
        return None
    value = float(found.corrected[0])
    return {
        "treatment_jump": value,
        "standard_error": error,
        "opposite_p_value": _lower_tail(direction * value / error),
    }


def _lower_tail(statistic: float) -> float:
    return math.erfc(-statistic / math.sqrt(2)) / 2
