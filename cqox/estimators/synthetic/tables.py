"""Report tables of a synthetic control: its weights, its path, and its placebo tests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Json
from cqox.estimators.inference.make_estimate import finite
from cqox.estimators.panel.block_panel import BlockPanel
from cqox.estimators.synthetic.placebos import Placebo, placebos_in_space, root_mean_square
from cqox.estimators.synthetic.weights import Weigh

__all__ = [
    "NEGLIGIBLE",
    "Fit",
    "described",
    "effective_rows",
    "gap_paths",
    "in_space",
    "in_time",
    "path",
    "placebo_start",
    "rank_p",
]

NEGLIGIBLE = 1e-6
"""Weights below this are not reported."""

MOST_PERIODS = 400
_MOST_POINTS = 1_500
_MANY_TIMES = 5.0
_NO_RATIO_BELOW = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A synthetic control, in standardised units.

    Attributes:
        weights: (donors,).
        gaps: (periods,) treated less synthetic.
        before: periods before the start.
    """

    weights: Vector
    gaps: Vector
    before: int

    @property
    def ratio(self) -> float:
        """The root mean square of the gaps after the start, over that before."""
        return _ratio(self.gaps, self.before)


def _ratio(gaps: Vector, before: int) -> float:
    return root_mean_square(gaps[before:]) / max(root_mean_square(gaps[:before]), _NO_RATIO_BELOW)


def effective_rows(panel: BlockPanel, weights: Vector) -> float:
    """Return the number of rows of the treated units, and of the effective number of donors."""
    donors = min(1 / float(weights @ weights), len(weights))
    return (len(panel.treated) + donors) * len(panel.times)


def described(panel: BlockPanel, fit: Fit) -> dict[str, Json]:
    """Return the fit before and after the start, the numbers of units and periods, the weights and the path."""
    before, scale = panel.before, panel.scale
    misfit = root_mean_square(fit.gaps[:before])
    return {
        "pre_rmspe": misfit * scale,
        "post_rmspe": root_mean_square(fit.gaps[before:]) * scale,
        "pre_fit": misfit,
        "first_treated_period": float(panel.times[before]),
        "periods_before": before,
        "periods_after": panel.after,
        "treated_units": len(panel.treated),
        "donors": len(panel.donors),
        "donor_weights": _weight_table(panel, fit.weights),
        "periods": path(panel, fit.gaps),
    }


def _weight_table(panel: BlockPanel, weights: Vector) -> list[Json]:
    """Return the donors with a positive weight, the largest first."""
    order = sorted(range(len(weights)), key=lambda place: (-abs(weights[place]), panel.donor_units[place]))
    return [
        {"unit": panel.donor(place), "weight": float(weights[place])}
        for place in order[:MOST_PERIODS]
        if abs(weights[place]) > NEGLIGIBLE
    ]


def path(panel: BlockPanel, gaps: Vector) -> list[Json]:
    """Return observed path, synthetic control and gap by period; means of several periods if there are many."""
    pooled = _pooled(len(gaps), MOST_PERIODS)
    seen = panel.target * panel.scale + panel.centre
    columns = (panel.times, seen, seen - gaps * panel.scale, gaps * panel.scale)
    means = [_means(column, pooled) for column in columns]
    return [
        {"time": time, "observed": observed, "synthetic": synthetic, "gap": gap}
        for time, observed, synthetic, gap in zip(*means, strict=True)
    ]


def _pooled(periods: int, most: int) -> int:
    return -(-periods // max(most, 1))


def _means(column: Vector, pooled: int) -> list[float]:
    if pooled == 1:
        return [float(value) for value in column]
    starts = np.arange(0, len(column), pooled)
    return [float(value) for value in np.add.reduceat(column, starts) / np.diff([*starts, len(column)])]


def in_space(panel: BlockPanel, fit: Fit, placebos: Sequence[Placebo], *, paths: bool) -> dict[str, Json]:
    """Return the placebo test in space: the rank of the treated units' ratio of mean squared prediction errors."""
    before = panel.before
    if not placebos:
        return {"placebos": 0, "p_value": None, "ratio": finite(fit.ratio)}
    ratios = np.array([_ratio(placebo.gaps, before) for placebo in placebos])
    misfits = np.array([root_mean_square(placebo.gaps[:before]) for placebo in placebos])
    effects = np.array([placebo.gaps[before:].mean() for placebo in placebos])
    kept = misfits <= _MANY_TIMES * max(root_mean_square(fit.gaps[:before]), _NO_RATIO_BELOW)
    found: dict[str, Json] = {
        "placebos": len(placebos),
        "ratio": fit.ratio,
        "rank": 1 + int(np.count_nonzero(ratios > fit.ratio)),
        "p_value": rank_p(ratios, fit.ratio),
        "p_value_well_fitted": rank_p(ratios[kept], fit.ratio) if kept.any() else None,
        "well_fitted": int(kept.sum()),
        "well_fitted_means": Message("synthetic.well-fitted", times=_MANY_TIMES),
        "p_value_of_average_gap": rank_p(np.abs(effects), abs(float(fit.gaps[before:].mean()))),
    }
    if paths:
        found["gaps"] = gap_paths(panel, placebos)
    return found


def gap_paths(panel: BlockPanel, placebos: Sequence[Placebo], *, centred: bool = False) -> list[Json]:
    """Return the placebos' gaps by period, in the order of `periods`, at most as many as a figure can show.

    Args:
        panel: the panel.
        placebos: units or groups of them.
        centred: whether a constant gap before the start is no misfit.
    """
    pooled = _pooled(panel.donors.shape[1], MOST_PERIODS)
    points = len(_means(panel.times, pooled))
    found = list[Json]()
    for placebo in placebos[: max(_MOST_POINTS // points, 1)]:
        past = placebo.gaps[: panel.before]
        found.append({
            "units": [panel.donor(place) for place in placebo.group],
            "pre_rmspe": root_mean_square(past - past.mean() if centred else past) * panel.scale,
            "gaps": list(_means(placebo.gaps * panel.scale, pooled)),
        })  # fmt: skip
    return found


def rank_p(values: Vector, own: float) -> float:
    """Return the share of values, the own one included, that are at least as large as it."""
    return (1 + int(np.count_nonzero(values >= own * (1 - 1e-9)))) / (1 + len(values))


def placebo_start(panel: BlockPanel) -> int | Message:
    """Return the placebo start halfway through the pre-treatment periods, or the reason for its absence."""
    start = panel.before // 2
    return start if start >= 2 else Message("synthetic.too-few-periods-before", periods=panel.before)


def in_time(panel: BlockPanel, weigh: Weigh, groups: Sequence[NDArray[np.intp]]) -> dict[str, Json]:
    """Return the placebo test in time: the gap after a placebo start, and the rank of its ratio among placebo units."""
    start = placebo_start(panel)
    if isinstance(start, Message):
        return {"reason": start}
    target, donors = panel.target[: panel.before], panel.donors[:, : panel.before]
    gaps = target - weigh(donors[:, :start], target[:start]) @ donors
    ratios = np.array([_ratio(placebo.gaps, start) for placebo in placebos_in_space(donors, start, groups, weigh)])
    return {
        "first_treated_period": float(panel.times[start]),
        "average_gap": float(gaps[start:].mean()) * panel.scale,
        "pre_rmspe": root_mean_square(gaps[:start]) * panel.scale,
        "post_rmspe": root_mean_square(gaps[start:]) * panel.scale,
        "p_value": rank_p(ratios, _ratio(gaps, start)) if len(ratios) else None,
    }
