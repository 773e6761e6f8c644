"""Linear, logit and probit regressions of one response, with each row's contribution to their coefficients.

For marginal effects, which need the mean at any regressors and its derivative by the linear predictor. The propensity
score has its own logit, which is faster and has no derivatives by row.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.gram import independent

__all__ = ["Model", "Response", "fit_response", "is_binary", "mean_at", "slope_at"]

type Model = Literal["linear", "logit", "probit"]

_ITERATIONS = 100
_STEP = 1e-11
_FARTHEST = 30.0
"""Linear predictors beyond are probabilities of 0 or 1 to rounding: the regressors separate the responses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A fitted regression.

    Attributes:
        model: its kind.
        coefficients: (k,), 0 for collinear regressors.
        moves: (k, n) each row's contribution to the coefficients, robust to heteroskedasticity.
        rank: number of regressors that are not collinear with earlier ones.
        deviation: standard deviation of the residuals of a linear model, n - k in its denominator; else 0.
        deviation_moves: (n,) each row's contribution to it.
    """

    model: Model
    coefficients: Vector
    moves: Matrix
    rank: int
    deviation: float
    deviation_moves: Vector


def is_binary(values: Vector) -> bool:
    """Return whether all values are 0 or 1, and both occur."""
    return bool(np.all((values == 0) | (values == 1)) and np.ptp(values) > 0)


def mean_at(model: Model, eta: Vector) -> Vector:
    """Return the mean of the response at (n,) linear predictors."""
    if model == "linear":
        return eta
    from scipy import special

    return np.asarray(special.expit(eta) if model == "logit" else special.ndtr(eta))


def slope_at(model: Model, eta: Vector) -> Vector:
    """Return the derivative of the mean by (n,) linear predictors."""
    if model == "linear":
        return np.ones_like(eta)
    if model == "logit":
        p = mean_at(model, eta)
        return np.asarray(p * (1.0 - p))
    return np.asarray(np.exp(-0.5 * eta * eta) / math.sqrt(2.0 * math.pi))


def fit_response(model: Model, x: Matrix, y: Vector, weights: Vector | None, *, response: str) -> Response:
    """Fit a regression by least squares or maximum likelihood.

    Args:
        model: its kind.
        x: (n, k) regressors with a constant.
        y: (n,) response, 0/1 for logit and probit.
        weights: (n,) sampling weights; None for equal weights.
        response: the name of the response, for errors.

    Raises:
        UnusableData: no more rows than coefficients, or the regressors separate the responses.
    """
    w = np.ones(len(y)) if weights is None else weights
    kept = independent((x * w[:, None]).T @ x)
    if len(y) <= len(kept):
        raise UnusableData(Message("nuisance.response-too-few-rows", rows=len(y), response=response))
    own = x[:, kept]
    beta, score, curvature = _maximised(model, own, y, w, response)
    moves = np.zeros((x.shape[1], len(y)))
    moves[kept] = np.linalg.solve((own * curvature[:, None]).T @ own, own.T * score)
    coefficients = np.zeros(x.shape[1])
    coefficients[kept] = beta
    deviation, deviation_moves = 0.0, np.zeros(len(y))
    if model == "linear":
        squares = np.square(y - own @ beta)
        deviation = math.sqrt(float(w @ squares) / float(w.sum()) * len(y) / (len(y) - len(kept)))
        deviation_moves = w * (squares - deviation**2) / (2.0 * deviation * w.sum()) if deviation > 0 else w * 0.0
    return Response(
        model=model, coefficients=coefficients, moves=moves, rank=len(kept), deviation=deviation,
        deviation_moves=deviation_moves,
    )  # fmt: skip


def _maximised(model: Model, x: Matrix, y: Vector, w: Vector, response: str) -> tuple[Vector, Vector, Vector]:
    """Return the coefficients, and the (n,) first and negative second derivatives of the log likelihood by the linear
    predictor."""
    beta = np.zeros(x.shape[1])
    for _ in range(_ITERATIONS):
        eta = x @ beta
        score, curvature = _derivatives(model, eta, y)
        score, curvature = score * w, curvature * w
        if float(np.abs(eta).max()) > _FARTHEST and model != "linear":
            break
        step = np.linalg.lstsq((x * curvature[:, None]).T @ x, x.T @ score, rcond=None)[0]
        if float(np.abs(x @ step).max()) <= _STEP * max(1.0, float(np.abs(eta).max())):
            return beta, score, curvature
        beta = beta + step
    raise UnusableData(Message("nuisance.response-separated", response=response))


def _derivatives(model: Model, eta: Vector, y: Vector) -> tuple[Vector, Vector]:
    """Return the derivatives for weights of 1; for a probit both are by the Mills ratio, which holds in the tails."""
    if model == "linear":
        return y - eta, np.ones_like(eta)
    if model == "logit":
        p = mean_at(model, eta)
        return y - p, np.asarray(p * (1.0 - p))
    from scipy import special

    sign = 2.0 * y - 1.0
    mills = np.exp(-0.5 * eta * eta - 0.5 * math.log(2.0 * math.pi) - special.log_ndtr(sign * eta))
    score = sign * mills
    return score, np.asarray(score * (score + eta))
