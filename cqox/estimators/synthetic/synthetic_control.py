"""Synthetic control: a weighted average of untreated units that reproduces the treated units before treatment.

Several treated units are averaged. All assume a factor model whose factors the weights reproduce, no interference with
donors, and no anticipation. Covariates are not used: weights fitted to a long pre-treatment path also balance
covariates (Botosaru and Ferman 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import Estimator, Law
from cqox.estimators.inference.make_estimate import EstimateId, assembled, finite, no_absorbing
from cqox.estimators.inference.standard_errors import Uncertainty
from cqox.estimators.panel.block_panel import BlockPanel, block_panel
from cqox.estimators.plan import Plan
from cqox.estimators.synthetic.placebos import (
    Conformal,
    Placebo,
    conformal,
    placebo_groups,
    placebos_in_space,
    root_mean_square,
)
from cqox.estimators.synthetic.tables import (
    MOST_PERIODS,
    NEGLIGIBLE,
    Fit,
    described,
    effective_rows,
    gap_paths,
    in_space,
    in_time,
    path,
    placebo_start,
    rank_p,
)
from cqox.estimators.synthetic.weights import (
    DoubleWeights,
    Penalties,
    Weigh,
    augmented_weights,
    cross_validated_ridge,
    double_difference,
    double_weights,
    penalties,
    simplex_weights,
)

__all__ = ["ESTIMATORS"]

_FAMILY = "synthetic_control"
_MOST_PLACEBOS = 100
_FEW_TREATED = 10
"""With fewer treated units the jackknife does not estimate the variance of their average."""

_EFFORT = 2e8
"""Multiplications that the placebos, and the conformal test, may each take: about half a second."""

_POOR_FIT, _POOR_AGAINST_DONORS, _POOR_AT_LEAST = 0.5, 5.0, 0.1


def _panel(plan: Plan) -> BlockPanel:
    panel = block_panel(plan)
    if isinstance(panel, Message):
        raise AssertionError(panel)
    return panel


def _effort(panel: BlockPanel) -> float:
    """Return the approximate number of multiplications of one fit of the weights."""
    donors, periods = panel.donors.shape
    return float(donors * periods * min(donors, 4 * periods) + 20_000)


def _fitted(panel: BlockPanel, weigh: Weigh) -> Fit:
    before = panel.before
    weights = weigh(panel.donors[:, :before], panel.target[:before])
    return Fit(weights=weights, gaps=panel.target - weights @ panel.donors, before=before)


def _simplex(plan: Plan) -> Estimate:
    return _synthetic(plan, "synthetic_control", simplex_weights, {}, paths=True)


def _augmented(plan: Plan) -> Estimate:
    panel = _panel(plan)
    ridge = cross_validated_ridge(panel.donors[:, : panel.before], panel.target[: panel.before])

    def weigh(donors: Matrix, target: Vector) -> Vector:
        return augmented_weights(donors, target, ridge)

    return _synthetic(plan, "synthetic_control_augmented", weigh, {"ridge": ridge * panel.scale**2}, paths=False)


def _synthetic(plan: Plan, name: str, weigh: Weigh, more: dict[str, Json], *, paths: bool) -> Estimate:
    panel, settings = _panel(plan), plan.settings
    fit = _fitted(panel, weigh)
    value = float(fit.gaps[panel.before :].mean())
    groups = _groups(plan, panel)
    placebos = placebos_in_space(panel.donors, panel.before, groups, weigh)
    interval, notes = _conformal(plan, panel, weigh, value, held_out=not paths)
    space = in_space(panel, fit, placebos, paths=paths)
    warnings = [*panel.warnings, *_poor_fit(panel, fit, placebos), *_without_end(interval)]
    notes += [*panel.notes, *_choices(plan, panel)]
    if placebos:
        notes.append(Message("synthetic.p-value-ranks"))
    else:
        warnings.append(Message("synthetic.no-p-value"))
    scale = panel.scale
    p_value = space["p_value"]
    return Estimate(
        name=name,
        family=_FAMILY,
        estimand="ATT",
        status="warning" if warnings else "ok",
        estimate=value * scale,
        ci_lower=None if interval is None else finite(interval.lower * scale),
        ci_upper=None if interval is None else finite(interval.upper * scale),
        p_value=p_value if isinstance(p_value, float) else None,
        se_method="conformal",
        n=panel.rows,
        n_effective=effective_rows(panel, fit.weights),
        diagnostics={
            **described(panel, fit),
            **more,
            "placebo_in_space": space,
            "placebo_in_time": in_time(panel, weigh, groups),
            "conformal": _conformal_table(interval, settings.alpha),
            "notes": list(dict.fromkeys(notes)),
        },
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _groups(plan: Plan, panel: BlockPanel) -> list[NDArray[np.intp]]:
    most = int(min(max(_EFFORT / _effort(panel), 20), _MOST_PLACEBOS))
    rng = np.random.default_rng(plan.settings.seed)
    return placebo_groups(len(panel.donors), len(panel.treated), most, rng)


def _conformal(
    plan: Plan, panel: BlockPanel, weigh: Weigh, value: float, *, held_out: bool
) -> tuple[Conformal | None, list[Message]]:
    if 80 * _effort(panel) > 10 * _EFFORT:
        donors, periods = panel.donors.shape
        return None, [Message("synthetic.too-large-for-interval", donors=donors, periods=periods)]
    settings = plan.settings
    interval = conformal(
        panel.donors, panel.target, panel.before, weigh,
        centre=value, alpha=settings.alpha, seed=settings.seed, held_out=held_out,
    )  # fmt: skip
    return interval, []


def _without_end(interval: Conformal | None) -> list[Message]:
    if interval is None:
        return [Message("synthetic.no-interval")]
    if np.isfinite([interval.lower, interval.upper]).all():
        return []
    return [Message("synthetic.unbounded-interval")]


def _poor_fit(panel: BlockPanel, fit: Fit, placebos: Sequence[Placebo]) -> list[Message]:
    before = panel.before
    misfit = root_mean_square(fit.gaps[:before])
    others = sorted(root_mean_square(placebo.gaps[:before]) for placebo in placebos)
    usual = float(np.median(others)) if others else 0.0
    unusual = misfit > max(_POOR_AGAINST_DONORS * usual, _POOR_AT_LEAST) if others else False
    if misfit <= _POOR_FIT and not unusual:
        return []
    return [Message("synthetic.poor-fit", misfit=misfit, usual=usual)]


def _choices(plan: Plan, panel: BlockPanel) -> list[Message]:
    notes = list[Message]()
    if len(panel.treated) > 1:
        notes.append(Message("synthetic.units-averaged", units=len(panel.treated)))
    if plan.has("covariates"):
        notes.append(Message("synthetic.covariates-not-used", covariates=plan.label("covariates")))
    if plan.settings.se != "auto":
        notes.append(Message("synthetic.no-such-standard-error", standard_error=plan.settings.se))
    return notes


def _conformal_table(interval: Conformal | None, alpha: float) -> dict[str, Json]:
    if interval is None:
        return {"reason": Message("synthetic.panel-too-large")}
    return {
        "p_value": interval.p_value,
        "orders": interval.orders,
        "method": interval.method,
        "level": 1 - alpha,
    }


def _double(plan: Plan) -> Estimate:
    panel = _panel(plan)
    before, treated = panel.before, len(panel.treated)
    penalty = penalties(panel.donors, before, treated)
    weights = double_weights(panel.donors, panel.target, before, penalty)
    value = double_difference(panel.donors, panel.target, before, weights)
    moved = panel.target - weights.unit @ panel.donors
    gaps = moved - weights.time @ moved[:before]
    fit = Fit(weights=weights.unit, gaps=gaps, before=before)
    level = moved[:before] - moved[:before].mean()
    groups = _groups(plan, panel)
    drawn = _double_placebos(panel, groups, penalty)
    placebos = np.array([placebo.difference for placebo in drawn])
    errors = _double_errors(panel, weights, placebos)
    method = "jackknife" if "jackknife" in errors else "placebo"
    error = errors.get(method, 0.0)
    warnings = list(panel.warnings)
    if not errors:
        warnings.append(Message("synthetic.no-standard-error"))
    uncertainty = Uncertainty(
        standard_error=error * panel.scale if error > 1e-12 else None,
        method=f"placebo ({len(placebos)} groups of untreated units)" if method == "placebo" else method,
        degrees=float(treated - 1) if method == "jackknife" else None,
        alternates={name: each * panel.scale for name, each in errors.items()},
    )
    diagnostics: dict[str, Json] = {
        **described(panel, replace(fit, gaps=np.concatenate([level, gaps[before:]]))),
        "periods": path(panel, gaps),
        "time_weights": [
            {"time": float(panel.times[place]), "weight": float(weights.time[place])}
            for place in np.flatnonzero(weights.time > NEGLIGIBLE)[:MOST_PERIODS]
        ],
        "zeta_unit": penalty.unit * panel.scale,
        "zeta_time": penalty.time * panel.scale,
        "noise": penalty.noise * panel.scale,
        "placebos": len(placebos),
        "placebo_gaps": gap_paths(panel, drawn, centred=True),
        "placebo_in_time": _double_in_time(panel, groups),
    }
    if len(placebos):
        diagnostics["p_value_placebo"] = rank_p(np.abs(placebos), abs(value))
    return assembled(
        EstimateId("synthetic_did", _FAMILY, "ATT"), plan, value * panel.scale, uncertainty, n=panel.rows, arms=None,
        n_effective=effective_rows(panel, weights.unit), influence=None, diagnostics=diagnostics,
        notes=(*panel.notes, *_choices(plan, panel)), warnings=warnings,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _DoublePlacebo(Placebo):
    """A placebo with its estimate."""

    difference: float


def _double_placebos(panel: BlockPanel, groups: Sequence[NDArray[np.intp]], penalty: Penalties) -> list[_DoublePlacebo]:
    """Return the gaps, to the weighted past, and the estimates of untreated units, under the same penalties."""
    found = []
    for group in groups:
        others, target = np.delete(panel.donors, group, axis=0), panel.donors[group].mean(axis=0)
        weights = double_weights(others, target, panel.before, penalty)
        moved = target - weights.unit @ others
        difference = double_difference(others, target, panel.before, weights)
        gaps = moved - weights.time @ moved[: panel.before]
        found.append(_DoublePlacebo(group=group, gaps=gaps, difference=difference))
    return found


def _double_in_time(panel: BlockPanel, groups: Sequence[NDArray[np.intp]]) -> dict[str, Json]:
    """Return the estimate for a placebo start before treatment, and its rank among those of placebo units."""
    start = placebo_start(panel)
    if isinstance(start, Message):
        return {"reason": start}
    past = replace(
        panel, treated=panel.treated[:, : panel.before], donors=panel.donors[:, : panel.before],
        times=panel.times[: panel.before], before=start,
    )  # fmt: skip
    penalty = penalties(past.donors, start, len(past.treated))
    weights = double_weights(past.donors, past.target, start, penalty)
    value = double_difference(past.donors, past.target, start, weights)
    placebos = np.array([placebo.difference for placebo in _double_placebos(past, groups, penalty)])
    return {
        "first_treated_period": float(panel.times[start]),
        "average_gap": value * panel.scale,
        "p_value": rank_p(np.abs(placebos), abs(value)) if len(placebos) else None,
    }


def _double_errors(panel: BlockPanel, weights: DoubleWeights, placebos: Vector) -> dict[str, float]:
    """Return standard errors by name: the placebos' spread (algorithm 4), and with enough treated units the
    jackknife."""
    errors = {"placebo": float(placebos.std())} if len(placebos) > 1 else {}
    treated = len(panel.treated)
    if treated >= _FEW_TREATED or (treated > 1 and not errors):
        jackknife = _jackknife(panel, weights)
        if jackknife is not None:
            errors["jackknife"] = jackknife
    return errors


def _jackknife(panel: BlockPanel, weights: DoubleWeights) -> float | None:
    """Return the jackknife over units with fixed weights (algorithm 3); None where one donor has all the weight."""
    if np.count_nonzero(weights.unit > NEGLIGIBLE) < 2:
        return None
    before, unit = panel.before, weights.unit

    def change(paths: Matrix) -> Vector:
        return np.asarray(paths[:, before:].mean(axis=1) - paths[:, :before] @ weights.time)

    own, others = change(panel.treated), change(panel.donors)
    treated = len(own)
    without_donor = own.mean() - (unit @ others - unit * others) / (1 - unit)
    without_treated = (own.sum() - own) / (treated - 1) - unit @ others
    values = np.concatenate([without_donor, without_treated])
    return float(np.sqrt((len(values) - 1) / len(values) * np.square(values - values.mean()).sum()))


def _rule(plan: Plan) -> Message | None:
    panel = block_panel(plan)
    return panel if isinstance(panel, Message) else no_absorbing(plan)


_LAWS: frozenset[Law] = frozenset(
    {"row_permutation", "outcome_affine", "irrelevant_constant", "collinear_copy", "chunk_size", "threads"}
)
_CONFORMAL = "none: conformal interval for the average effect by inverting the test, p-value by placebo in space"

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="synthetic_control",
        family=_FAMILY,
        estimand="ATT",
        summary="Gap between the treated units' mean and the weighted mean of untreated ones with the best "
        "pre-treatment fit; without treatment the fit would have continued.",
        requires=("y", "treatment", "unit_id", "time"),
        optional=("post",),
        standard_error=_CONFORMAL,
        paper="Abadie, Diamond and Hainmueller 2010, JASA 105, section 2 (outcomes alone); inference: Chernozhukov, "
        "Wüthrich and Zhu 2021, JASA 116, section 2",
        doi="10.1198/jasa.2009.ap08746",
        checked_against="pysyncon, synthdid (its sc_estimate)",
        laws=_LAWS,
        rule=_rule,
        compute=_simplex,
    ),
    Estimator(
        name="synthetic_control_augmented",
        family=_FAMILY,
        estimand="ATT",
        summary="The same with the remaining pre-treatment imbalance corrected by ridge regression, which allows "
        "negative weights; the ridge is chosen by cross-validation over periods.",
        requires=("y", "treatment", "unit_id", "time"),
        optional=("post",),
        standard_error="none: interval by leave-one-out prediction errors (jackknife), p-value by placebo in space",
        paper="Ben-Michael, Feller and Rothstein 2021, JASA 116, lemma 1",
        doi="10.1080/01621459.2021.1929245",
        checked_against="pysyncon AugSynth",
        laws=_LAWS,
        rule=_rule,
        compute=_augmented,
    ),
    Estimator(
        name="synthetic_did",
        family=_FAMILY,
        estimand="ATT",
        summary="Difference in differences with weights on untreated units, so that their trend is parallel to the "
        "treated ones', and on the pre-treatment periods that predict the later ones.",
        requires=("y", "treatment", "unit_id", "time"),
        optional=("post",),
        standard_error="placebo and normal under 10 treated units; from 10 on the jackknife with t(treated - 1)",
        paper="Arkhangelsky, Athey, Hirshberg, Imbens and Wager 2021, American Economic Review 111, algorithms 1, 3, 4",
        doi="10.1257/aer.20190159",
        checked_against="synthdid",
        laws=_LAWS,
        rule=_rule,
        compute=_double,
    ),
)
