"""Mediation by linear equations: the indirect effect through a mediator, and the direct effect.

Assumes sequential ignorability: that treatment is as good as random given the covariates, and the mediator given these
and the treatment, with no confounder of mediator and outcome that the treatment affects; and that both are linear,
unless `mediator_model` or `outcome_model` is a logit or probit, for which `predictions` has the effects. Several
mediators are taken together. The sensitivity parameter ρ measures violations of the second assumption.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    make_estimate,
    no_absorbing,
    pooled_periods,
    two_arms,
    varying_outcome,
)
from cqox.estimators.inference.standard_errors import Uncertainty, influence_se
from cqox.estimators.mediation.delta_method import Effect, Fitted, effect_gradient, effect_value
from cqox.estimators.mediation.equations import Equations, covariance_of, fit_equations, mediation_frame, row_moves
from cqox.estimators.mediation.predictions import predict_outcomes
from cqox.estimators.mediation.sensitivity import correlated_errors, interaction
from cqox.estimators.nuisance.response_models import Model, is_binary
from cqox.estimators.numerics.quantiles import critical_value
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["ESTIMATORS"]

_FAMILY = "mediation"
_DRAWS = 1_000
_SUSPECT = 0.01
"""An interaction of treatment and mediator with a smaller p-value is a warning where the equations have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """Results shared by the three effects.

    Attributes:
        fitted: the equations.
        diagnostics: numbers about them.
        warnings: caveats from them.
    """

    fitted: Fitted
    diagnostics: dict[str, Json]
    warnings: tuple[Message, ...]


def _mediated(plan: Plan, *, effect: Effect) -> Estimate:
    if _models(plan) != ("linear", "linear"):
        return _predicted(plan, effect)
    shared = plan.share("mediation", lambda: _computed(plan))
    fitted = shared.fitted
    value, uncertainty, contributions = _estimate(fitted, effect, 0.5)
    details = dict(shared.diagnostics)
    details["proportion_mediated"] = _share(fitted.fit)
    details["quasi_bayesian"] = _simulated(fitted, effect, uncertainty)
    if plan.settings.mediation_interaction and effect != "total":
        for treated, name in ((0.0, "untreated"), (1.0, "treated")):
            details[f"{effect}_{name}"] = _row(plan, *_estimate(fitted, effect, treated)[:2])
    identity = EstimateId(f"mediation_{effect}", _FAMILY, _ESTIMANDS[effect])
    return make_estimate(
        identity, plan, _sample(plan), value, contributions, uncertainty, diagnostics=details,
        notes=(*fitted.frame.notes, *_outcome_kind(plan)), warnings=(*shared.warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _models(plan: Plan) -> tuple[Model, Model]:
    """Return the models of the mediator and of the outcome."""
    return plan.settings.mediator_model, plan.settings.outcome_model


def _predicted(plan: Plan, effect: Effect) -> Estimate:
    """Return an effect by average predictions of models that are not both linear."""
    sample, models = _sample(plan), _models(plan)
    found = plan.share("mediation", lambda: predict_outcomes(plan, sample, *models))
    values: dict[str, float] = {name: found.effect(name, 0.5)[0] for name in _ESTIMANDS}
    details: dict[str, Json] = {"mediator_model": models[0], "outcome_model": models[1]}
    details.update(values)
    details["proportion_mediated"] = _proportion(values["acme"], values["total"])

    def estimate(at: float) -> tuple[float, Uncertainty, Vector]:
        value, contributions = found.effect(effect, at)
        uncertainty = influence_se(
            contributions, plan.clusters(sample), plan.settings, name="M-estimation", arm_codes=plan.treated(sample)
        )
        return value, uncertainty, contributions

    if effect != "total":
        for treated, name in ((0.0, "untreated"), (1.0, "treated")):
            details[f"{effect}_{name}"] = _row(plan, *estimate(treated)[:2])
    value, uncertainty, contributions = estimate(0.5)
    return make_estimate(
        EstimateId(f"mediation_{effect}", _FAMILY, _ESTIMANDS[effect]), plan, sample, value, contributions, uncertainty,
        diagnostics=details, notes=mediation_frame(plan, sample).notes, warnings=pooled_periods(plan),
    )  # fmt: skip


def _estimate(fitted: Fitted, effect: Effect, treated: float) -> tuple[float, Uncertainty, Vector]:
    fit = fitted.fit
    return fitted.estimate(
        lambda theta: effect_value(fit, theta, effect, treated), effect_gradient(fit, effect, treated)
    )


def _computed(plan: Plan) -> _Shared:
    sample = _sample(plan)
    frame, mediators = mediation_frame(plan, sample), plan.data.mediators.shape[1]
    fit = fit_equations(frame, frame.products, mediators, interacted=plan.settings.mediation_interaction)
    fitted = Fitted(
        frame=frame, fit=fit, moves=row_moves(frame, fit), clusters=plan.clusters(sample), settings=plan.settings,
        arm_codes=plan.treated(sample) if plan.data.treatment_kind == "binary" else None,
    )  # fmt: skip
    effects: tuple[Effect, ...] = ("acme", "ade", "total")
    details: dict[str, Json] = {name: float(effect_value(fit, fit.theta, name)) * fit.unit for name in effects}
    details["paths"] = _paths(plan, fitted)
    tested = interaction(fitted)
    details["interaction"] = tested
    details["sensitivity"] = correlated_errors(fitted)
    return _Shared(fitted=fitted, diagnostics=details, warnings=_left_out(plan, tested))


def _share(fit: Equations) -> float | None:
    """Return the proportion mediated of the total effect; None where it is not meaningful."""
    return _proportion(float(effect_value(fit, fit.theta, "acme")), float(effect_value(fit, fit.theta, "total")))


def _proportion(acme: float, total: float) -> float | None:
    return acme / total if acme * total > 0 and abs(acme) <= abs(total) else None


def _row(plan: Plan, value: float, uncertainty: Uncertainty) -> dict[str, Json]:
    error = uncertainty.standard_error
    if error is None:
        return {"estimate": value, "standard_error": None, "ci_lower": None, "ci_upper": None}
    half = critical_value(plan.settings.alpha, uncertainty.degrees) * error
    return {"estimate": value, "standard_error": error, "ci_lower": value - half, "ci_upper": value + half}


def _paths(plan: Plan, fitted: Fitted) -> list[Json]:
    """Return each mediator's part of the effect, which is its own if no mediator affects another."""
    rows: list[Json] = []
    fit = fitted.fit
    d = fit.theta[fit.at["d"]]
    for place, label in enumerate(plan.labels("mediator")):
        at_a, at_b, at_d = (fit.at[name].start + place for name in "abd")
        a, b = float(fit.theta[at_a]), float(fit.theta[at_b])
        gradient = np.zeros(len(fit.theta))
        gradient[at_a], gradient[at_b], gradient[at_d] = b + 0.5 * d[place], a, 0.5 * a

        def through(theta: Vector | Matrix, a: int = at_a, b: int = at_b, d: int = at_d) -> Vector:
            return np.asarray(theta[..., a] * (theta[..., b] + 0.5 * theta[..., d]))

        value, uncertainty, _ = fitted.estimate(through, gradient)
        rows.append(
            {
                "mediator": label,
                "treatment_to_mediator": a,
                "mediator_to_outcome": b * fit.unit,
                "through_it": value,
                "standard_error": uncertainty.standard_error,
            }
        )
    return rows


def _left_out(plan: Plan, tested: dict[str, Json]) -> tuple[Message, ...]:
    """Return a warning if the mediator's effect differs by arm and the equations have no interaction."""
    p_value = tested.get("p_value")
    if not isinstance(p_value, float) or p_value >= _SUSPECT or plan.settings.mediation_interaction:
        return ()
    if plan.data.treatment_kind == "binary":
        return (Message("mediation.needs-interaction-option", mediator=plan.label("mediator"), p_value=p_value),)
    return (Message("mediation.needs-interaction", mediator=plan.label("mediator"), p_value=p_value),)


def _simulated(fitted: Fitted, effect: Effect, uncertainty: Uncertainty) -> dict[str, Json]:
    """Return the quasi-Bayesian interval: percentiles of the effect over draws of the coefficients.

    Their covariance is scaled to the reported standard error of the effect.
    """
    error, fit, settings = uncertainty.standard_error, fitted.fit, fitted.settings
    covariance = covariance_of(fitted.moves, fitted.clusters)
    gradient = effect_gradient(fit, effect)
    plain = float(gradient @ covariance @ gradient) * fit.unit**2
    if error is None or plain <= 0:
        return {"reason": Message("mediation.no-standard-error")}
    values, vectors = np.linalg.eigh(covariance / np.outer(_roots(covariance), _roots(covariance)))
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T * _roots(covariance)
    generator = np.random.Generator(np.random.Philox(settings.seed))
    drawn = fit.theta + generator.standard_normal((_DRAWS, len(fit.theta))) @ root * (error / np.sqrt(plain))
    found = effect_value(fit, drawn, effect) * fit.unit
    lower, upper = np.quantile(found, [settings.alpha / 2, 1 - settings.alpha / 2]).tolist()
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


def _outcome_kind(plan: Plan) -> tuple[Message, ...]:
    return (Message("mediation.binary-outcome"),) if plan.data.y_kind == "binary" else ()


def _sample(plan: Plan) -> Sample:
    return plan.sample("y", "treatment", "mediator", "covariates")


def _rule(plan: Plan) -> Message | None:
    sample = _sample(plan)
    binary = plan.data.treatment_kind == "binary"
    reason = no_absorbing(plan) or (two_arms(plan, sample) if binary else varying_outcome(plan, sample))
    if reason is not None:
        return reason
    if plan.settings.mediation_interaction and not binary:
        return Message("mediation.interaction-needs-binary-treatment")
    for place, label in enumerate(plan.labels("mediator")):
        if float(np.ptp(sample.take(plan.data.mediators[:, place]))) == 0:
            return Message("mediation.constant-mediator", mediator=label, rows=sample.n)
    reason = _unmodelled(plan, sample)
    if reason is not None:
        return reason
    width = plan.data.covariates.shape[1] + 2 + 2 * plan.data.mediators.shape[1]
    if sample.n <= width + 1:
        return Message("inference.too-few-rows", rows=sample.n, coefficients=width)
    return None


def _unmodelled(plan: Plan, sample: Sample) -> Message | None:
    """Return a reason if a logit or probit that is asked for does not fit the data."""
    models = _models(plan)
    if models == ("linear", "linear"):
        return None
    if plan.data.treatment_kind != "binary" or plan.data.mediators.shape[1] > 1:
        return Message("mediation.models-need-two-arms")
    variables = ("mediator_model", "mediator", plan.data.mediators[:, 0]), ("outcome_model", "y", plan.data.y)
    for (option, role, values), model in zip(variables, models, strict=True):
        if model != "linear" and not is_binary(sample.take(values)):
            return Message("nuisance.response-not-binary", option=option, model=model, response=plan.label(role))
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
        standard_error="delta method with HC1, HC3 for few rows; CRV1 with clusters; with a quasi-Bayesian interval; "
        "M-estimation with a logit or probit",
        paper=f"Imai, Keele and Yamamoto 2010, Statistical Science 25, {where}",
        doi="10.1214/10-STS321",
        checked_against="products of statsmodels coefficients; statsmodels Mediation, after R mediation",
        laws=CROSS_SECTION_LAWS | {"scale_treatment"},
        treatment=frozenset({"binary", "continuous"}),
        rule=_rule,
        compute=partial(_mediated, effect=effect),
    )


ESTIMATORS: tuple[Estimator, ...] = (
    _entry("acme", "The indirect effect: of treatment on the outcome through the mediator", "theorem 2"),
    _entry(
        "ade", "The direct effect: of treatment on the outcome with the mediator held at its own value", "theorem 2"
    ),
    _entry("total", "The total effect of treatment, indirect and direct, by the same equations", "equation 4"),
)
