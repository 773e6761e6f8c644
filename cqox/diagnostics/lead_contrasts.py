"""Contrasts of leads with one degree of freedom: the last change before treatment, a dip in the last period, a line.

A joint test of many leads has little power against a departure of a known shape. Units that react to a treatment
before it starts, or that are treated because of a bad last period, depart in that period alone (Ashenfelter 1978,
doi 10.2307/1924332): it is compared with the period before it, and with the mean of all earlier ones. Units that grow
at another rate depart along a line, whose slope is fitted through all periods before treatment.
"""

import numpy as np

from cqox.diagnostics.joint_tests import joint_test
from cqox.diagnostics.json_values import number
from cqox.estimators import Json, Matrix, Vector

__all__ = ["differences_from_base", "single_contrasts"]


def differences_from_base(steps: int) -> Matrix:
    """Return the (k, k) matrix that turns changes from period to period into differences from the base period.

    Args:
        steps: number k of changes, the last one last; the differences come in the same order.
    """
    return -np.triu(np.ones((steps, steps)))


def single_contrasts(leads: Vector, covariance: Matrix, degrees: float) -> dict[str, Json]:
    """Test the last period before treatment against the one before it and the mean of the earlier ones, and the slope.

    Args:
        leads: (k,) differential trends, each the difference from the last period before treatment; the nearest last.
        covariance: (k, k) of them.
        degrees: degrees of freedom of the covariance.

    Returns:
        `last_change` and, with two leads or more, `dip` and `trend` (the least-squares slope by period, the base
        included): `estimate`, `standard_error`, `p_value` and the size `detectable` with 80% power at the 5% level.
    """
    nearest = np.zeros(len(leads))
    nearest[-1] = -1.0
    tests: dict[str, Json] = {"last_change": _tested(nearest, leads, covariance, degrees)}
    if len(leads) > 1:
        tests["dip"] = _tested(np.full(len(leads), -1.0 / len(leads)), leads, covariance, degrees)
        periods = np.arange(len(leads) + 1.0)
        centred = periods - periods.mean()
        tests["trend"] = _tested(centred[:-1] / (centred @ centred), leads, covariance, degrees)
    return tests


def _tested(weights: Vector, leads: Vector, covariance: Matrix, degrees: float) -> dict[str, Json]:
    value, variance = float(weights @ leads), float(weights @ covariance @ weights)
    found = joint_test(np.asarray([value]), np.asarray([[variance]]), degrees, np.ones(1))
    return {
        "estimate": number(value),
        "standard_error": number(np.sqrt(variance)) if variance > 0 else None,
        "p_value": found["p_value"],
        "detectable": found.get("detectable_slope"),
    }
