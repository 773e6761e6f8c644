"""Report tables of heterogeneous effects, aggregated over sample splits.

Over several splits a number is the median, its variance the median of those within plus the squared distance from it,
and a p-value twice the median one (Chernozhukov et al. 2018, definition 3.3; Chernozhukov et al. 2025, section 3).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Json
from cqox.estimators.inference.make_estimate import finite
from cqox.estimators.learners.heterogeneity import Judged
from cqox.estimators.numerics.quantiles import chi_square_survival, critical_value, f_survival, two_sided

__all__ = ["MOST_SPLITS", "Heterogeneity", "coefficient_table", "judgement_table", "spread_table"]

MOST_SPLITS = 20
"""Number of splits with tables; an estimate uses all requested splits."""

_QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_NAMES = ("minimum", "p10", "p25", "median", "p75", "p90", "maximum")


@dataclass(slots=True)
class Heterogeneity:
    """Results of the splits on effects that vary, in units of the standardised outcome but for the spread.

    Attributes:
        spread: the distribution of the predicted effects in the first split.
        judged: the evaluation of each split.
        fits: the best linear predictor of each split: its coefficients and their covariance.
        reason: why a split was not evaluated.
    """

    spread: dict[str, Json] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    fits: list[tuple[Vector, Matrix]] = field(default_factory=list)
    reason: Message | None = None

    def tables(self, labels: Sequence[str], unit: float, alpha: float, degrees: float | None) -> dict[str, Json]:
        """Return the tables for the diagnostics of an estimate.

        Args:
            labels: of the coefficients of the best linear predictor, the intercept first.
            unit: of the scores.
            alpha: one minus the level of the intervals.
            degrees: of freedom, for clusters.
        """
        found: dict[str, Json] = {"predicted_effects": self.spread}
        if self.fits:
            found["best_linear_predictor"] = coefficient_table(labels, self.fits, unit, alpha, degrees)
        found["judged_by_scores"] = (
            judgement_table(self.judged, unit, alpha, degrees) if self.judged else {"reason": self.reason}
        )
        return found


class _Scale:
    """Conversion of numbers of the standardised outcome to report units."""

    def __init__(self, unit: float, alpha: float, degrees: float | None) -> None:
        self.unit, self.degrees = unit, degrees
        self.critical = critical_value(alpha, degrees)

    def described(
        self, values: Sequence[float] | Vector, variances: Sequence[float] | Vector, unit: float | None = None
    ) -> dict[str, Json]:
        """Return an estimate with its error, interval and p-value, from those of each split."""
        factor = self.unit if unit is None else unit
        value, variance = _middle(values, variances)
        error = math.sqrt(variance) * factor if variance > 0 else None
        point = value * factor
        if error is None:
            return {
                "estimate": point, "standard_error": None, "ci_lower": None, "ci_upper": None, "p_value": None,
            }  # fmt: skip
        return {
            "estimate": point,
            "standard_error": error,
            "ci_lower": point - self.critical * error,
            "ci_upper": point + self.critical * error,
            "p_value": two_sided(point / error, self.degrees),
        }


def _middle(values: Sequence[float] | Vector, variances: Sequence[float] | Vector) -> tuple[float, float]:
    if len(values) == 1:
        return float(values[0]), float(variances[0])
    middle = float(np.median(values))
    return middle, float(np.median(np.asarray(variances) + (np.asarray(values) - middle) ** 2))


def spread_table(effects: Vector, weights: Vector | None, unit: float) -> dict[str, Json]:
    """Return the distribution of the (n,) predicted effects over the rows."""
    found = _quantiles(effects, weights) * unit
    mean = float(np.average(effects, weights=weights))
    off = effects - mean
    sd = math.sqrt(float(np.average(np.square(off, out=off), weights=weights)))
    return {
        "mean": mean * unit,
        "sd": sd * unit,
        **dict(zip(_NAMES, found.tolist(), strict=True)),
        "share_positive": float(np.average(effects > 0, weights=weights)),
    }


def _quantiles(effects: Vector, weights: Vector | None) -> Vector:
    """Return the weighted quantiles of the (n,) effects at the shares of `_QUANTILES`."""
    if weights is None:
        n = len(effects)
        place = np.arange(0.5, n)
        place /= n
        return np.interp(_QUANTILES, place, np.sort(effects))
    order = np.argsort(effects)
    mass = weights[order]
    return np.interp(_QUANTILES, (np.cumsum(mass) - mass / 2) / mass.sum(), effects[order])


def coefficient_table(
    labels: Sequence[str],
    fits: Sequence[tuple[Vector, Matrix]],
    unit: float,
    alpha: float,
    degrees: float | None,
) -> dict[str, Json]:
    """Return the coefficients of the best linear predictor with a test that all slopes are zero.

    Args:
        labels: of the (k,) coefficients, the intercept first.
        fits: the coefficients and their covariance in each split.
        unit: of the scores.
        alpha: one minus the level of the intervals.
        degrees: of freedom, for clusters.
    """
    scale = _Scale(unit, alpha, degrees)
    values, variances = np.stack([fit[0] for fit in fits]), np.stack([np.diag(fit[1]) for fit in fits])
    table: list[Json] = [
        {"label": label, **scale.described(values[:, place], variances[:, place])} for place, label in enumerate(labels)
    ]
    tested = _equal([_wald(value[1:], matrix[1:, 1:]) for value, matrix in fits], degrees)
    return {"coefficients": table, "test": tested}


def judgement_table(judged: Sequence[Judged], unit: float, alpha: float, degrees: float | None) -> dict[str, Json]:
    """Return groups by predicted effect, its calibration slope, and the TOC curve with its areas.

    Args:
        judged: the evaluation of each split.
        unit: of the scores.
        alpha: one minus the level of the intervals.
        degrees: of freedom, for clusters; smaller where not all of them were evaluated.
    """
    degrees = min([each.degrees for each in judged if each.degrees is not None], default=degrees)
    within = min([each.within for each in judged if each.within is not None], default=degrees)
    scale, of_areas = _Scale(unit, alpha, degrees), _Scale(unit, alpha, within)
    alike = [each for each in judged if len(each.groups) == len(judged[0].groups)]
    groups: list[Json] = []
    for place in range(len(alike[0].groups)):
        found = scale.described(
            [each.groups[place] for each in alike], [each.covariance[place, place] for each in alike]
        )
        predicted = float(np.median([each.predicted[place] for each in alike])) * unit
        groups.append({"group": place + 1, "rows": int(alike[0].counts[place]), "predicted": predicted, **found})
    ends = [_difference(each) for each in alike]
    return {
        "rows": judged[0].rows,
        "groups": groups,
        "top_minus_bottom": scale.described([each[0] for each in ends], [each[1] for each in ends]),
        "equal_groups": _equal([_contrasts(each) for each in alike], degrees),
        "slope": scale.described([each.slope[0] for each in judged], [each.slope[1] for each in judged], 1.0),
        "autoc": of_areas.described([each.autoc[0] for each in judged], [each.autoc[1] for each in judged]),
        "qini": of_areas.described([each.qini[0] for each in judged], [each.qini[1] for each in judged]),
        "curve": _curve(judged, scale),
    }


def _curve(judged: Sequence[Judged], scale: _Scale) -> list[Json]:
    alike = [each for each in judged if len(each.shares) == len(judged[0].shares)]
    curve: list[Json] = []
    for place, share in enumerate(alike[0].shares.tolist()):
        found = scale.described([each.gains[place] for each in alike], [each.variances[place] for each in alike])
        curve.append(
            {"share": share, "gain": found["estimate"], "lower": found["ci_lower"], "upper": found["ci_upper"]}
        )
    return curve


def _difference(judged: Judged) -> tuple[float, float]:
    covariance = judged.covariance
    variance = covariance[0, 0] + covariance[-1, -1] - 2 * covariance[0, -1]
    return float(judged.groups[-1] - judged.groups[0]), float(variance)


def _contrasts(judged: Judged) -> tuple[float, int] | None:
    change = np.diff(np.eye(len(judged.groups)), axis=0)
    return _wald(change @ judged.groups, change @ judged.covariance @ change.T)


def _wald(values: Vector, covariance: Matrix) -> tuple[float, int] | None:
    """Return the Wald statistic that all values are zero, and its degrees of freedom; None where it has none."""
    scale = np.sqrt(np.diag(covariance))
    if not len(values) or not np.all(scale > 0):
        return None
    try:
        root = np.linalg.cholesky(covariance / np.outer(scale, scale))
    except np.linalg.LinAlgError:
        return None
    left = np.linalg.solve(root, values / scale)
    return float(left @ left), len(values)


def _equal(found: Sequence[tuple[float, int] | None], degrees: float | None) -> Json:
    """Test by the chi-square statistic of each split; with clusters by F, after Hotelling.

    Chi-square treats a covariance estimated from few clusters as known, and then rejects far too often.
    """
    known = [each for each in found if each is not None and finite(each[0]) is not None]
    if not known:
        return None
    contrasts = known[0][1]
    rest = None if degrees is None else degrees - contrasts + 1
    if rest is None:
        statistics = [value for value, _ in known]
        p_values = [chi_square_survival(value, contrasts) for value in statistics]
    elif rest < 1 or degrees is None:
        return None
    else:
        statistics = [value * rest / (degrees * contrasts) for value, _ in known]
        p_values = [f_survival(value, contrasts, rest) for value in statistics]
    p_value = float(np.median(p_values))
    return {
        "statistic": float(np.median(statistics)),
        "degrees": contrasts,
        "denominator_degrees": rest,
        "p_value": p_value if len(p_values) == 1 else min(1.0, 2 * p_value),
    }
