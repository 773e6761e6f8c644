"""Omitted variable bias of double machine learning estimates: bounds and robustness values.

An omitted confounder that explains a share c_y of the outcome's residual variance and adds a share c_d/(1 - c_d) to the
variance of the Riesz representer biases an estimate by at most sqrt(c_y c_d/(1 - c_d)) sqrt(σ²ν²), with σ² the residual
variance of the outcome regressions and ν² that of the representer: Chernozhukov, Cinelli, Newey, Sharma and Syrgkanis
2022, "Long story short: omitted variable bias in causal machine learning" (doi 10.3386/w30302), theorems 2 and 4.
Checked against DoubleML's sensitivity_analysis and sensitivity_benchmark.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Data, Matrix, Vector
from cqox.estimators.inference.standard_errors import Uncertainty, influence_se
from cqox.estimators.nuisance.cross_fitting import INFLUENCE
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import independent_each, solve_each
from cqox.estimators.numerics.quantiles import critical_value
from cqox.estimators.plan import Plan
from cqox.estimators.sensitivity.short_models import MODELS, Short, interactive_without, sample_frame, splits
from cqox.estimators.sensitivity.unmeasured_confounding import variance_shares

__all__ = ["MODELS", "Gain", "OmittedVariables", "bounds", "gains", "omitted_variables"]

_HALVINGS = 200
_MOST_ROWS = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One split's estimate and largest bias, with their variances and covariance."""

    estimate: float
    bias: float
    variance: float
    covariance: float
    bias_variance: float

    def end(self, strength: float, side: int, critical: float = 0.0) -> float:
        """Return the bound on one side (-1 or 1), or that of its interval."""
        spread = self.variance + 2 * side * strength * self.covariance + strength**2 * self.bias_variance
        return self.estimate + side * (strength * self.bias + critical * math.sqrt(max(spread, 0.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class OmittedVariables:
    """The sensitivity of one estimate to an omitted confounder.

    Attributes:
        estimate: the median over splits.
        outcome_variance, riesz_variance: σ² and ν², medians over splits.
        robustness_value: the equal share of outcome and representer at which the bound reaches no effect.
        robustness_value_alpha: the share at which the bound of its one-sided interval does.
        critical: the one-sided critical value, the median over splits.
        lines: one for each split.
    """

    estimate: float
    outcome_variance: float
    riesz_variance: float
    robustness_value: float
    robustness_value_alpha: float
    critical: float
    lines: tuple[_Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """The bias from omitting an observed covariate: a benchmark for confounders.

    Attributes:
        label: of the covariate.
        outcome: share of the residual variance of the outcome that it explains, c_y.
        treatment: share by which it adds to the representer's variance, c_d.
        adversity: ratio of its bias to the maximum bias, from -1 to 1.
        change: change of the estimate without it.
    """

    label: str
    outcome: float
    treatment: float
    adversity: float
    change: float


def bounds(
    found: OmittedVariables, outcome: float, treatment: float
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return the lowest and the highest effect under a confounder of some strength, and their confidence bounds.

    found: the sensitivity of the estimate.
        found: of the estimate.
        outcome: c_y, in [0, 1].
        treatment: c_d, in [0, 1].

    Returns:
        The bounds, and one-sided confidence bounds for them; None for c_d = 1, which gives no finite bound.
    """
    if treatment >= 1:
        return None
    strength = math.sqrt(outcome * treatment / (1 - treatment))
    return (
        (_middle(found.lines, strength, -1), _middle(found.lines, strength, 1)),
        (_middle(found.lines, strength, -1, found.critical), _middle(found.lines, strength, 1, found.critical)),
    )


def omitted_variables(plan: Plan, name: str) -> OmittedVariables:
    """Return the sensitivity of one double machine learning estimate.

    Args:
        plan: the request's plan.
        name: catalog name, one of `MODELS`.

    Raises:
        UnusableData: the model cannot be fitted, or no residual variance of outcome or treatment is left.
    """
    rows = sample_frame(plan, name).sample.n
    if rows > _MOST_ROWS:
        raise UnusableData(Message("sensitivity.too-many-rows-for-bounds", rows=rows, most=_MOST_ROWS))
    sample = sample_frame(plan, name).sample
    uncertainty_of = partial(
        influence_se, clusters=plan.clusters(sample), settings=plan.settings, name=INFLUENCE,
        arm_codes=plan.treated(sample) if plan.data.treatment_kind == "binary" else None,
    )  # fmt: skip
    found: list[_Line] = []
    variances: list[tuple[float, float]] = []
    for split in splits(plan):
        short = MODELS[name](plan, split)
        found.append(_line(short, uncertainty_of))
        variances.append((short.outcome, short.riesz))
    lines = tuple(found)
    degrees = uncertainty_of(short.contributions).degrees
    critical = critical_value(2 * plan.settings.alpha, degrees)
    estimate = float(np.median([line.estimate for line in lines]))
    side = -1 if estimate >= 0 else 1
    return OmittedVariables(
        estimate=estimate,
        outcome_variance=median(outcome for outcome, _ in variances),
        riesz_variance=median(riesz for _, riesz in variances),
        robustness_value=_robustness(lambda strength: -side * _middle(lines, strength, side)),
        robustness_value_alpha=_robustness(lambda strength: -side * _middle(lines, strength, side, critical)),
        critical=critical,
        lines=lines,
    )


def _middle(lines: Sequence[_Line], strength: float, side: int, critical: float = 0.0) -> float:
    return median(line.end(strength, side, critical) for line in lines)


def _robustness(left: Callable[[float], float]) -> float:
    """Return the equal shares at which a bound, signed, reaches 0."""
    if left(0.0) <= 0:
        return 0.0
    low, high = 0.0, 1.0
    while left(high) > 0:
        low, high = high, 2 * high
        if high > 1e8:
            return 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        low, high = (middle, high) if left(middle) > 0 else (low, middle)
    return 2.0 / (1.0 + math.sqrt(1.0 + 4.0 / high**2))


def _line(short: Short, uncertainty_of: Callable[[Vector], Uncertainty]) -> _Line:
    def variance(contributions: Vector) -> float:
        error = uncertainty_of(contributions).standard_error
        return 0.0 if error is None else error**2

    own, of_bias = variance(short.contributions), variance(short.of_bias)
    return _Line(
        estimate=short.estimate,
        bias=math.sqrt(short.outcome * short.riesz),
        variance=own,
        covariance=(variance(short.contributions + short.of_bias) - own - of_bias) / 2,
        bias_variance=of_bias,
    )


def gains(plan: Plan, name: str, *, most: int = 10) -> tuple[Gain, ...]:
    """Return the bias from omitting each of the strongest covariates, the strongest first.

    The partially linear model leaves one out by algebra on cross-products; the interactive ones are fitted again,
    all at once where that is possible.

    Args:
        plan: the request's plan.
        name: catalog name, one of `MODELS`.
        most: number of covariates to omit, each by itself.

    Raises:
        UnusableData: a model cannot be fitted.
    """
    frame = sample_frame(plan, name)
    x, t = np.arange(frame.at["x"].stop), frame.column("t")
    if len(x) < 2:
        return ()
    strength = variance_shares(frame, x, t)[1:] * variance_shares(frame, np.append(x, t), frame.column("y"))[1:-1]
    chosen = (np.argsort(-strength, kind="stable")[:most] + 1).tolist()
    looked_at = splits(plan)
    if name == "dml_plr":
        long = [_of_products(plan, frame, split, x[None])[0] for split in looked_at]
        each_left_out = np.stack([np.delete(x, column) for column in chosen])
        by_split = [_of_products(plan, frame, split, each_left_out) for split in looked_at]
        shorts = [list(fits) for fits in zip(*by_split, strict=True)]
    elif (at_once := _at_once(plan, name, frame, chosen)) is not None:
        long, shorts = _fits(plan, name), at_once
    else:
        long = _fits(_cut(plan, frame, None), name)
        shorts = [_fits(_cut(plan, frame, column), name) for column in chosen]
    return _gains([frame.labels[column] for column in chosen], long, shorts)


type _Fit = tuple[float, float, float]
"""Estimate, σ² and ν² of one split."""


def _gains(labels: Sequence[str], long: Sequence[_Fit], shorts: Sequence[Sequence[_Fit]]) -> tuple[Gain, ...]:
    """Return the gain of each omitted covariate, medians over splits."""
    value, outcome, riesz = np.transpose(long)
    value_short, outcome_short, riesz_short = np.moveaxis(np.asarray(shorts), -1, 0)
    change = value_short - value
    room = np.maximum(outcome_short - outcome, 0.0) * np.maximum(riesz - riesz_short, 0.0)
    adversity = np.minimum(np.abs(change) / np.sqrt(np.where(room > 0, room, np.inf)), 1.0)
    adversity[room <= 0] = 1.0
    medians = [
        np.median(each, axis=1).tolist()
        for each in (
            np.clip((outcome_short - outcome) / outcome, 0, 1),
            np.clip(riesz / riesz_short - 1, 0, 1),
            adversity * np.sign(change),
            change,
        )
    ]
    return tuple(
        Gain(label=label, outcome=own, treatment=added, adversity=share, change=moved)
        for label, own, added, share, moved in zip(labels, *medians, strict=True)
    )


def _of_products(plan: Plan, frame: Frame, split: int, regressors: NDArray[np.intp]) -> list[_Fit]:
    """Return the partially linear model of one split with each of some sets of covariates, from cross-products alone.

    Args:
        plan: the request's plan.
        frame: the columns.
        split: its number.
        regressors: (sets, k) positions of the covariates in the frame.
    """
    t, y, (sets, k) = frame.column("t"), frame.column("y"), regressors.shape
    blocks, _ = plan.blocks(frame, split)
    whole = blocks.sum(axis=1)
    rest = whole.sum(axis=0) - whole
    inside = rest[:, regressors[:, :, None], regressors[:, None, :]].reshape(-1, k, k)
    right = rest[:, regressors[:, :, None], [t, y]].reshape(-1, k, 2)
    slopes = solve_each(inside, right).reshape(len(whole), sets, k, 2)
    combine = np.zeros((len(whole), sets, 2, len(frame.matrix)))
    combine[:, np.arange(sets)[:, None], :, regressors] = -slopes.transpose(1, 2, 0, 3)
    combine[:, :, 0, t] = combine[:, :, 1, y] = 1.0
    inner = (combine @ whole[:, None] @ combine.transpose(0, 1, 3, 2)).sum(axis=0) / frame.n
    slope = inner[:, 0, 1] / inner[:, 0, 0]
    scale, moved = float(frame.scale[y]), float(frame.scale[t])
    outcome = (inner[:, 1, 1] - slope * inner[:, 0, 1]) * scale**2
    riesz = 1 / (inner[:, 0, 0] * moved**2)
    return list(zip((slope * scale / moved).tolist(), outcome.tolist(), riesz.tolist(), strict=True))


def _fits(plan: Plan, name: str) -> list[_Fit]:
    found = [MODELS[name](plan, split) for split in splits(plan)]
    return [(each.estimate, each.outcome, each.riesz) for each in found]


def _at_once(plan: Plan, name: str, frame: Frame, chosen: Sequence[int]) -> list[list[_Fit]] | None:
    """Return the fits without each covariate, from one pass for all; None where each has to be fitted by itself.

    All fits end closer to their maxima than one alone does, which rounding can prevent for rows of very different
    weights.
    """
    if not _all_in_use(plan, frame):
        return None
    try:
        by_split = [interactive_without(plan, name, split, chosen) for split in splits(plan)]
    except UnusableData:
        return None
    return [[(e, s, v) for e, s, v in fits] for fits in np.stack(by_split, axis=1).tolist()]


def _all_in_use(plan: Plan, frame: Frame) -> bool:
    """Return whether no model leaves a covariate out as collinear, which would take the place of an omitted one."""
    logit = plan.propensity(frame.sample).logit
    if frame.dropped or logit is None:
        return not frame.dropped
    k = logit.frame.at["x"].stop
    within = (plan.blocks(logit.frame, split)[0].sum(axis=1)[:, :k, :k] for split in splits(plan))
    return not logit.frame.dropped and all(independent_each(each.sum(axis=0) - each).all() for each in within)


def _cut(plan: Plan, frame: Frame, column: int | None) -> Plan:
    """Return the plan of the frame's rows, with all covariates or without one."""
    if column is None and frame.sample.index is None:
        return plan

    def make() -> Plan:
        data = plan.data if frame.sample.index is None else plan.data.rows(frame.sample.index)
        return Plan(data if column is None else _without(data, frame.labels[column], plan), plan.settings)

    return plan.share(("cut", column), make, frame)


def _without(data: Data, label: str, plan: Plan) -> Data:
    """Return the data without the covariate of a label, in both models."""
    names: dict[str, tuple[str, ...]] = dict(data.names)
    changes: dict[str, Matrix] = {}
    labels = {role: plan.labels(role) for role in ("covariates", "propensity_covariates")}
    shared = data.propensity_covariates is data.covariates
    for role, matrix in (("covariates", data.covariates), ("propensity_covariates", data.propensity_covariates)):
        kept = [place for place, each in enumerate(labels[role]) if each != label]
        changes[role] = changes["covariates"] if shared and changes else matrix[:, kept]
        names[role] = tuple(labels[role][place] for place in kept)
    return replace(data, covariates=changes["covariates"], propensity_covariates=changes["propensity_covariates"],
                   names=names)  # fmt: skip
