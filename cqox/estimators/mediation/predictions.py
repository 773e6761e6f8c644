"""Mediation with logit or probit models: effects as average differences of predicted outcomes.

Y(t, s) is the mean outcome over the rows with the treatment set to t and the mediator distributed as under s: the
outcome model's mean integrated over the mediator model, by quadrature over normal errors of a linear mediator or by
the probabilities of a binary one. The indirect effect is Y(t, 1) - Y(t, 0), the direct one Y(1, s) - Y(0, s) (Imai,
Keele and Tingley 2010, doi:10.1037/a0020761, who simulate the integral).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.mediation.delta_method import Effect
from cqox.estimators.mediation.equations import mediation_frame
from cqox.estimators.nuisance.response_models import Model, Response, fit_response, mean_at, slope_at
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["Predictions", "predict_outcomes"]

_NODES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """The four mean outcomes Y(t, s), and each row's contribution to them, in units of y.

    Attributes:
        values: (2, 2) by t and s.
        contributions: (2, 2, n).
    """

    values: Matrix
    contributions: Matrix

    def effect(self, effect: Effect, at: float) -> tuple[float, Vector]:
        """Return an effect and (n,) contributions; `at` is the treatment that it holds fixed, 0.5 the mean of both."""
        weights = np.zeros((2, 2))
        for held, share in ((0, 1.0 - at), (1, at)):
            if effect == "acme":
                weights[held] += share * np.array([-1.0, 1.0])
            elif effect == "ade":
                weights[:, held] += share * np.array([-1.0, 1.0])
        if effect == "total":
            weights[0, 0], weights[1, 1] = -1.0, 1.0
        return float((weights * self.values).sum()), np.tensordot(weights, self.contributions, axes=2)


def predict_outcomes(plan: Plan, sample: Sample, mediator_model: Model, outcome_model: Model) -> Predictions:
    """Fit both models and return their predictions.

    Raises:
        UnusableData: a regressor is collinear with the others, or the regressors separate a binary response.
    """
    data, settings = plan.data, plan.settings
    frame, weights, t = mediation_frame(plan, sample), plan.weights(sample), plan.treated(sample)
    x = frame.matrix[: frame.at["x"].stop].T
    m, _ = _scaled(sample.take(data.mediators[:, 0]), mediator_model)
    y, unit = _scaled(sample.take(data.y), outcome_model)
    product = [t * m] if settings.mediation_interaction else []
    first, second = np.column_stack([x, t]), np.column_stack([x, t, m, *product])
    fits = (
        fit_response(mediator_model, first, m, weights, response=plan.label("mediator")),
        fit_response(outcome_model, second, y, weights, response=plan.label("y")),
    )
    if any(fit.rank < len(fit.coefficients) for fit in fits):
        raise UnusableData(Message("mediation.collinear"))
    share = np.full(sample.n, 1.0 / sample.n) if weights is None else weights / weights.sum()
    values, contributions = np.empty((2, 2)), np.empty((2, 2, sample.n))
    for treated in (0, 1):
        for mediated in (0, 1):
            value, parts = _mean_outcome(x, share, fits, float(treated), float(mediated))
            values[treated, mediated], contributions[treated, mediated] = value * unit, parts * unit
    return Predictions(values=values, contributions=contributions)


def _scaled(values: Vector, model: Model) -> tuple[Vector, float]:
    """Return the values of a linear model standardised, with their scale; those of a binary one as they are."""
    if model != "linear":
        return values, 1.0
    scale = float(values.std())
    return (values - values.mean()) / scale, scale


def _mean_outcome(
    x: Matrix, share: Vector, fits: tuple[Response, Response], t: float, s: float
) -> tuple[float, Vector]:
    """Return Y(t, s) and (n,) contributions: of the rows averaged over, and of both models' coefficients."""
    mediator, outcome = fits
    p = x.shape[1]
    beta = outcome.coefficients
    mean = x @ mediator.coefficients[:p] + s * mediator.coefficients[p]
    base = x @ beta[:p] + t * beta[p]
    interacted = len(beta) > p + 2
    slope = float(beta[p + 1] + (t * beta[p + 2] if interacted else 0.0))
    predicted, by_mean, by_base, by_mediator = (np.zeros(len(x)) for _ in range(4))
    by_deviation = 0.0
    for node in _nodes(mediator, mean):
        eta = base + slope * node.value
        response, steep = mean_at(outcome.model, eta), node.weight * slope_at(outcome.model, eta)
        predicted += node.weight * response
        by_mean += node.moves * steep * slope + node.gains * response
        by_base += steep
        by_mediator += steep * node.value
        by_deviation += float(share @ steep) * slope * node.error
    value = float(share @ predicted)
    own, other, third = share * by_mean, share * by_base, float(share @ by_mediator)
    first = np.append(own @ x, s * own.sum())
    second = np.concatenate([other @ x, [t * other.sum(), third], [t * third] if interacted else []])
    parts = share * (predicted - value) + first @ mediator.moves + second @ outcome.moves
    return value, parts + by_deviation * mediator.deviation_moves


@dataclass(frozen=True, slots=True)
class _Node:
    """One value of the mediator at each row.

    Attributes:
        value: the value.
        weight: its probability.
        moves, gains: derivatives of value and probability by the mediator's linear predictor.
        error: derivative of the value by the deviation of the errors.
    """

    value: Vector | float
    weight: Vector | float
    moves: float
    gains: Vector | float
    error: float


def _nodes(mediator: Response, mean: Vector) -> Iterator[_Node]:
    if mediator.model != "linear":
        probability, slope = mean_at(mediator.model, mean), slope_at(mediator.model, mean)
        yield _Node(0.0, 1.0 - probability, 0.0, -slope, 0.0)
        yield _Node(1.0, probability, 0.0, slope, 0.0)
        return
    places, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    for place, weight in zip(places.tolist(), (weights / weights.sum()).tolist(), strict=True):
        yield _Node(mean + mediator.deviation * place, weight, 1.0, 0.0, place)
