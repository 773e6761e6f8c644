"""Mediation by linear equations: how much of an effect goes through a mediator, and how much does not.

Assumes sequential ignorability: that treatment is as good as random given the covariates, and the mediator given these
and the treatment, with no confounder of mediator and outcome that the treatment moves; and that both are linear.
Several mediators are taken together. How wrong the second assumption may be is what the sensitivity ρ says.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from cqox.errors import UnusableData
from cqox.estimators._frame import Frame
from cqox.estimators._gram import grouped_gram
from cqox.estimators._least_squares import JACKKNIFE_CELLS, leverages
from cqox.estimators._mediation import (
    Equations,
    covariance_of,
    equal_variance,
    fit_equations,
    mediation_frame,
    residuals,
    row_moves,
)
from cqox.estimators._quantiles import chi_square_survival, critical_value
from cqox.estimators._result import Title, estimated, no_absorbing, pooled_periods, two_arms, varying_outcome
from cqox.estimators._sample import Sample
from cqox.estimators._uncertainty import TOO_MANY, UNIDENTIFIED, Clusters, Linear, Uncertainty, regression
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.plan import Plan

__all__ = ["ESTIMATORS"]

type Effect = Literal["acme", "ade", "total"]

_FAMILY = "mediation"
_DRAWS = 1_000
_SUSPECT = 0.01
"""An interaction of treatment and mediator with a smaller p-value is a warning where the equations have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What the three effects have in common.

    Attributes:
        frame: the columns.
        fit: the equations.
        moves: (q, n) each row's contribution to their coefficients.
        clusters: groups of rows whose errors may be correlated.
        diagnostics: numbers about the equations.
        warnings: what they give cause to doubt.
    """

    frame: Frame
    fit: Equations
    moves: Matrix
    clusters: Clusters
    diagnostics: dict[str, Json]
    warnings: tuple[str, ...]


def _value(fit: Equations, theta: Vector, effect: Effect, treated: float = 0.5) -> float:
    """An effect by the coefficients; between mediators of an untreated and a treated unit where these differ."""
    a, b, c, d, m = (theta[..., fit.at[name]] for name in "abcdm")
    if effect == "acme":
        return np.asarray((a * (b + treated * d)).sum(axis=-1))  # type: ignore[return-value]
    if effect == "ade":
        return np.asarray(c[..., 0] + (d * (m + treated * a)).sum(axis=-1))  # type: ignore[return-value]
    return _value(fit, theta, "acme", treated) + _value(fit, theta, "ade", 1.0 - treated)


def _gradient(fit: Equations, effect: Effect, treated: float = 0.5) -> Vector:
    """(q,) how an effect moves with the coefficients."""
    a, b, d, m = (fit.theta[fit.at[name]] for name in "abdm")
    gradient = np.zeros(len(fit.theta))
    if effect == "total":
        return _gradient(fit, "acme", treated) + _gradient(fit, "ade", 1.0 - treated)
    if effect == "acme":
        gradient[fit.at["a"]], gradient[fit.at["b"]], gradient[fit.at["d"]] = b + treated * d, a, treated * a
        return gradient
    gradient[fit.at["c"]], gradient[fit.at["d"]] = 1.0, m + treated * a
    gradient[fit.at["a"]], gradient[fit.at["m"]] = treated * d, d
    return gradient


def _mediated(plan: Plan, *, effect: Effect) -> Estimate:
    shared = plan.share("mediation", lambda: _computed(plan))
    frame, fit = shared.frame, shared.fit
    value, uncertainty, contributions = _estimate(plan, shared, effect, 0.5)
    told = dict(shared.diagnostics)
    told["proportion_mediated"] = _share(fit)
    told["quasi_bayesian"] = _simulated(plan, shared, effect, contributions, uncertainty)
    if plan.settings.mediation_interaction and effect != "total":
        for treated, name in ((0.0, "untreated"), (1.0, "treated")):
            told[f"{effect}_{name}"] = _row(plan, *_estimate(plan, shared, effect, treated)[:2])
    title = Title(f"mediation_{effect}", _FAMILY, _ESTIMANDS[effect])
    return estimated(
        title, plan, _sample(plan), value, contributions, uncertainty, diagnostics=told,
        notes=(*frame.notes, *_outcome_kind(plan)), warnings=(*shared.warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _estimate(plan: Plan, shared: _Shared, effect: Effect, treated: float) -> tuple[float, Uncertainty, Vector]:
    frame, fit = shared.frame, shared.fit
    gradient = _gradient(fit, effect, treated)
    linear = Linear(
        value=float(_value(fit, fit.theta, effect, treated)) * fit.unit,
        contributions=gradient @ shared.moves * fit.unit,
        parameters=len(fit.second),
        parameters_beside_clusters=len(fit.second),
        iid_variance=equal_variance(frame, fit, gradient) * fit.unit**2,
        # Those of the outcome's equation, which are never below those of the mediators'.
        leverage=lambda: leverages(frame, fit.second, fit.inverse_second),
        jackknife=partial(_without_each, shared, effect, treated),
        exposed=plan.treated(_sample(plan)) if plan.data.treatment_kind == "binary" else None,
    )
    return linear.value, regression(linear, shared.clusters, plan.settings), linear.contributions


def _without_each(shared: _Shared, effect: Effect, treated: float, codes: Codes, count: int) -> Vector | str:
    frame, fit = shared.frame, shared.fit
    if count * len(frame.matrix) ** 2 > JACKKNIFE_CELLS:
        return TOO_MANY
    blocks, _ = grouped_gram(frame.rows, frame.matrix, frame.weights, codes, count)
    whole = blocks.sum(axis=0)
    interacted = len(fit.second) > len(fit.first) + len(fit.responses)
    values = np.empty(count)
    for place, block in enumerate(blocks):
        try:
            rest = fit_equations(frame, whole - block, len(fit.responses), interacted=interacted)
        except (UnusableData, np.linalg.LinAlgError):
            return UNIDENTIFIED
        values[place] = float(_value(rest, rest.theta, effect, treated)) * rest.unit
    return values


def _computed(plan: Plan) -> _Shared:
    sample = _sample(plan)
    frame, mediators = mediation_frame(plan, sample), plan.data.mediators.shape[1]
    fit = fit_equations(frame, frame.products, mediators, interacted=plan.settings.mediation_interaction)
    moves, clusters = row_moves(frame, fit), plan.clusters(sample)
    told: dict[str, Json] = {name: float(_value(fit, fit.theta, name)) * fit.unit for name in ("acme", "ade", "total")}
    covariance = covariance_of(moves, clusters)
    told["paths"] = _paths(plan, fit, covariance)
    tested, warnings = _interaction(plan, frame, clusters, mediators)
    told["interaction"] = tested
    told["sensitivity"] = _sensitivity(plan, frame, fit, moves, clusters)
    return _Shared(frame=frame, fit=fit, moves=moves, clusters=clusters, diagnostics=told, warnings=warnings)


def _share(fit: Equations) -> float | None:
    """Of the total effect, what goes through the mediators; None where that has no meaning."""
    acme, total = (float(_value(fit, fit.theta, name)) for name in ("acme", "total"))
    return acme / total if acme * total > 0 and abs(acme) <= abs(total) else None


def _row(plan: Plan, value: float, uncertainty: Uncertainty) -> dict[str, Json]:
    error = uncertainty.standard_error
    if error is None:
        return {"estimate": value, "standard_error": None, "ci_lower": None, "ci_upper": None}
    half = critical_value(plan.settings.alpha, uncertainty.degrees) * error
    return {"estimate": value, "standard_error": error, "ci_lower": value - half, "ci_upper": value + half}


def _paths(plan: Plan, fit: Equations, covariance: Matrix) -> list[Json]:
    """Each mediator's part of the effect, which is its own where no mediator moves another."""
    rows: list[Json] = []
    d = fit.theta[fit.at["d"]]
    for place, label in enumerate(plan.labels("mediator")):
        at_a, at_b, at_d = (fit.at[name].start + place for name in "abd")
        a, b = float(fit.theta[at_a]), float(fit.theta[at_b])
        gradient = np.zeros(len(fit.theta))
        gradient[at_a], gradient[at_b], gradient[at_d] = b + 0.5 * d[place], a, 0.5 * a
        rows.append(
            {
                "mediator": label,
                "treatment_to_mediator": a,
                "mediator_to_outcome": b * fit.unit,
                "through_it": a * (b + 0.5 * float(d[place])) * fit.unit,
                "standard_error": float(np.sqrt(gradient @ covariance @ gradient)) * fit.unit,
            }
        )
    return rows


def _interaction(
    plan: Plan, frame: Frame, clusters: Clusters, mediators: int
) -> tuple[dict[str, Json], tuple[str, ...]]:
    """Whether a mediator does more in one arm than in the other, which equations without a product leave out."""
    try:
        fit = fit_equations(frame, frame.products, mediators, interacted=True)
    except UnusableData:
        return {"reason": "Products of treatment and mediators are determined by the other variables."}, ()
    if fit.residual_second <= 1e-20 * frame.products[frame.column("y"), frame.column("y")]:
        return {"reason": "The equations leave nothing of the outcome to test it by."}, ()
    d = fit.theta[fit.at["d"]]
    within = covariance_of(row_moves(frame, fit)[fit.at["d"]], clusters)
    if clusters.codes and clusters.fewest <= mediators + 1:
        return {"reason": f"{clusters.fewest} clusters are too few to test it by."}, ()
    p_value = chi_square_survival(float(d @ np.linalg.pinv(within, hermitian=True) @ d), mediators)
    told: dict[str, Json] = {
        "coefficients": (d * fit.unit).tolist(),
        "p_value": p_value,
        "modelled": plan.settings.mediation_interaction,
    }
    if p_value < _SUSPECT and not plan.settings.mediation_interaction:
        advice = " (options.mediation_interaction)" if plan.data.treatment_kind == "binary" else ""
        return told, (
            f"'{plan.label('mediator')}' moves the outcome differently where treatment is different "
            f"(p = {p_value:.2g}): the split of the effect needs their product{advice}.",
        )
    return told, ()


def _sensitivity(plan: Plan, frame: Frame, fit: Equations, moves: Matrix, clusters: Clusters) -> dict[str, Json]:
    """The ACME for each correlation ρ of the equations' errors; Imai, Keele and Yamamoto 2010, theorem 4.

    With one mediator and no product, b(ρ) = σ₁₂/σ₂₂ − r √(σ₁₁σ₂₂ − σ₁₂²)/σ₂₂ for r = ρ/√(1 − ρ²), where σ are the
    (co)variances of what covariates and treatment leave of outcome (1) and mediator (2).
    """
    if len(fit.responses) > 1 or plan.settings.mediation_interaction:
        return {"reason": "It is known for one mediator without an interaction."}
    of_mediators, of_outcome = residuals(frame, fit)
    y, m, k = frame.column("y"), int(fit.responses[0]), len(fit.first)
    e2 = of_mediators[0]
    # What covariates and treatment alone leave of the outcome.
    e1 = of_outcome + float(fit.beta[k]) * e2
    weights = np.ones(frame.n) if frame.weights is None else frame.weights
    total = float(weights.sum())
    squares = np.stack([e1 * e1, e1 * e2, e2 * e2])
    s11, s12, s22 = (squares @ weights / total).tolist()
    left = s11 * s22 - s12 * s12
    if left <= 1e-12 * s11 * s22:
        return {"reason": "Treatment and mediator leave nothing of the outcome to explain."}
    spread = np.vstack([moves[fit.at["a"]] / frame.scale[m], weights * (squares - [[s11], [s12], [s22]]) / total])
    covariance, root, a = covariance_of(spread, clusters), np.sqrt(left), float(fit.theta[0]) / frame.scale[m]
    reach = critical_value(plan.settings.alpha, clusters.fewest - 1.0 if clusters.fewest > 1 else None)
    rows: list[Json] = []
    open_at: list[float] = []
    for rho in np.round(np.arange(-0.95, 0.951, 0.05), 2).tolist():
        r = rho / np.sqrt(1.0 - rho * rho)
        b = (s12 - r * root) / s22
        slope = [
            b,
            -a * r / (2 * root),
            a * (1 + r * s12 / root) / s22,
            a * (r * root / s22 - s12 / s22 - r * s11 / (2 * root)) / s22,
        ]
        error = float(np.sqrt(slope @ covariance @ slope)) * fit.unit
        value = float(a * b) * fit.unit
        rows.append({"rho": rho, "acme": value, "ci_lower": value - reach * error, "ci_upper": value + reach * error})
        if abs(value) <= reach * error:
            open_at.append(rho)
    rho_zero = s12 / np.sqrt(s11 * s22)
    of_y, of_m = (_left_of(frame, column, s, total) for column, s in ((y, s11), (m, s22)))
    return {
        "rho_at_zero": float(rho_zero),
        "r2_product_at_zero": float(rho_zero**2),
        "r2_product_of_total_variance_at_zero": float(rho_zero**2 * of_y * of_m),
        "smallest_rho_with_zero_inside": min(open_at, key=abs) if open_at else None,
        "curve": rows,
    }


def _left_of(frame: Frame, column: int, variance: float, total: float) -> float:
    """The share of a variable's variance that its equation leaves."""
    products = frame.products
    whole = float(products[column, column] - products[0, column] ** 2 / products[0, 0]) / total
    return variance / whole


def _simulated(
    plan: Plan, shared: _Shared, effect: Effect, contributions: Vector, uncertainty: Uncertainty
) -> dict[str, Json]:
    """The quasi-Bayesian interval: percentiles of the effect over coefficients drawn from their distribution.

    Their covariance is scaled to the standard error that the effect is reported with.
    """
    error, fit = uncertainty.standard_error, shared.fit
    covariance = covariance_of(shared.moves, shared.clusters)
    gradient = _gradient(fit, effect)
    plain = float(gradient @ covariance @ gradient) * fit.unit**2
    if error is None or plain <= 0:
        return {"reason": "There is no standard error."}
    values, vectors = np.linalg.eigh(covariance / np.outer(_roots(covariance), _roots(covariance)))
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T * _roots(covariance)
    generator = np.random.Generator(np.random.Philox(plan.settings.seed))
    drawn = fit.theta + generator.standard_normal((_DRAWS, len(fit.theta))) @ root * (error / np.sqrt(plain))
    found = np.asarray(_value(fit, drawn, effect)) * fit.unit
    lower, upper = np.quantile(found, [plan.settings.alpha / 2, 1 - plan.settings.alpha / 2]).tolist()
    below = int(np.count_nonzero(found < 0))
    rarer = min(below, _DRAWS - below)
    return {
        "draws": _DRAWS,
        "ci_lower": lower,
        "ci_upper": upper,
        "p_value": min(1.0, 2 * (rarer + 1) / (_DRAWS + 1)),
    }


def _roots(covariance: Matrix) -> Vector:
    diagonal = np.sqrt(np.diag(covariance))
    return np.where(diagonal > 0, diagonal, 1.0)


def _outcome_kind(plan: Plan) -> tuple[str, ...]:
    if plan.data.y_kind != "binary":
        return ()
    return ("The outcome is 0 or 1: effects are differences of its probability by linear equations, not by a logit.",)


def _sample(plan: Plan) -> Sample:
    return plan.sample("y", "treatment", "mediator", "covariates")


def _rule(plan: Plan) -> str | None:
    sample = _sample(plan)
    binary = plan.data.treatment_kind == "binary"
    reason = no_absorbing(plan) or (two_arms(plan, sample) if binary else varying_outcome(plan, sample))
    if reason is not None:
        return reason
    if plan.settings.mediation_interaction and not binary:
        return "An interaction with the mediator is modelled for a treatment of two levels; leave the option out."
    for place, label in enumerate(plan.labels("mediator")):
        if float(np.ptp(sample.take(plan.data.mediators[:, place]))) == 0:
            return f"The mediator '{label}' never varies in the {sample.n} complete rows."
    width = plan.data.covariates.shape[1] + 2 + 2 * plan.data.mediators.shape[1]
    if sample.n <= width + 1:
        return f"{sample.n} complete rows are too few for {width} coefficients."
    return None


_ESTIMANDS: dict[Effect, str] = {"acme": "ACME", "ade": "ADE", "total": "total effect"}


def _entry(effect: Effect, summary: str, where: str) -> Estimator:
    return Estimator(
        name=f"mediation_{effect}",
        family=_FAMILY,
        estimand=_ESTIMANDS[effect],
        summary=f"{summary}; treatment is as good as random given the covariates, and the mediator given both.",
        requires=("y", "treatment", "mediator"),
        optional=("covariates", "weights", "cluster"),
        standard_error="delta method with HC1, HC3 for few rows; CRV1 with clusters; quasi-Bayesian interval besides",
        paper=f"Imai, Keele and Yamamoto 2010, Statistical Science 25, {where}",
        doi="10.1214/10-STS321",
        checked_against="products of statsmodels coefficients; statsmodels Mediation, after R mediation",
        laws=CROSS_SECTION_LAWS | {"scale_treatment"},
        treatment=frozenset({"binary", "continuous"}),
        rule=_rule,
        compute=partial(_mediated, effect=effect),
    )


ESTIMATORS: tuple[Estimator, ...] = (
    _entry("acme", "What treatment does to the outcome by moving the mediator", "theorem 2"),
    _entry("ade", "What treatment does to the outcome with the mediator where it would be anyway", "theorem 2"),
    _entry("total", "The whole effect of treatment, mediated and direct, by the same equations", "equation 4"),
)
