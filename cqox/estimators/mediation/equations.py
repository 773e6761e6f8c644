"""The two linear equations of mediation, and each row's contribution to their coefficients.

M = x'α + aT and Y = x'β + cT + bM (+ dTM), for one mediator or several. `linear` computes the effects.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.numerics.absorb import compress
from cqox.estimators.numerics.frame import Frame, build_frame
from cqox.estimators.numerics.gram import independent
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = [
    "Equations",
    "Theta",
    "covariance_of",
    "equal_variance",
    "fit_equations",
    "mediation_frame",
    "residuals",
    "row_moves",
]

type Theta = dict[str, slice]
"""Slices of each kind of coefficient in a vector of all: a, b, c, d, and m, the mediators' means untreated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equations:
    """Both equations solved, in standardised units but for `theta`.

    Attributes:
        first, second: positions of the regressors of the mediators and of the outcome.
        responses: positions of the mediators.
        alpha: (k, m) coefficients of the mediators' equations.
        beta: (l,) of the outcome's.
        inverse_first, inverse_second: inverses of the cross-products of their regressors.
        mean: (k,) regressors of a mediator averaged over the rows, with the treatment at 0.
        theta: (q,) all coefficients for raw regressors: a, b, c, d and the mediators' means untreated; outcomes in
            units of `unit`, for precision.
        unit: the outcome's scale.
        at: slices of each.
        residual_first: (m, m) sums of products of the mediators' residuals.
        residual_second: sum of squares of the outcome's.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    responses: NDArray[np.intp]
    alpha: Matrix
    beta: Vector
    inverse_first: Matrix
    inverse_second: Matrix
    mean: Vector
    theta: Vector
    unit: float
    at: Theta
    residual_first: Matrix
    residual_second: float


def mediation_frame(plan: Plan, sample: Sample) -> Frame:
    """Return the columns of both equations, including the products of treatment and mediators."""
    data = plan.data
    assert data.treatment is not None
    columns: dict[str, tuple[Matrix, Sequence[str]]] = {}
    if plan.has("covariates"):
        columns["x"] = data.covariates, plan.labels("covariates")
    for place, label in enumerate(plan.labels("mediator")):
        columns[f"m{place}"] = data.mediators[:, [place]], (label,)
    for place, label in enumerate(plan.labels("mediator")):
        columns[f"i{place}"] = data.mediators[:, [place]] * data.treatment[:, None], (f"{label} x treatment",)
    columns["t"] = data.treatment[:, None], plan.labels("treatment")
    columns["y"] = data.y[:, None], ("y",)
    return build_frame(
        sample, columns, weights=data.weights, block=plan.settings.chunk_rows, threads=plan.settings.threads
    )


def fit_equations(frame: Frame, products: Matrix, mediators: int, *, interacted: bool) -> Equations:
    """Solve both equations from cross-products of a frame.

    Raises:
        UnusableData: a regressor is collinear with the others.
    """
    x, t, y = np.arange(frame.at["x"].start, frame.at["x"].stop), frame.column("t"), frame.column("y")
    m = np.asarray([frame.column(f"m{place}") for place in range(mediators)], dtype=np.intp)
    i = np.asarray([frame.column(f"i{place}") for place in range(mediators if interacted else 0)], dtype=np.intp)
    first = np.append(x, t)
    second = np.concatenate([first, m, i])
    if len(independent(products[np.ix_(second, second)])) < len(second):
        raise UnusableData(Message("mediation.collinear"))
    inverse_first = np.linalg.inv(products[np.ix_(first, first)])
    inverse_second = np.linalg.inv(products[np.ix_(second, second)])
    alpha = np.linalg.solve(products[np.ix_(first, first)], products[np.ix_(first, m)])
    beta = np.linalg.solve(products[np.ix_(second, second)], products[second, y])
    mean = np.append(products[0, x] / products[0, 0], -frame.centre[t] / frame.scale[t])
    scale, k = frame.scale, len(first)
    parts = {
        "a": alpha[-1] * scale[m] / scale[t],
        "b": beta[k : k + mediators] / scale[m],
        "c": beta[k - 1 : k] / scale[t],
        "d": beta[k + mediators :] / scale[i] if interacted else np.zeros(mediators),
        "m": frame.centre[m] + scale[m] * (mean @ alpha),
    }
    ends = np.cumsum([0, *(len(part) for part in parts.values())]).tolist()
    return Equations(
        first=first, second=second, responses=m, alpha=alpha, beta=beta, inverse_first=inverse_first,
        inverse_second=inverse_second, mean=mean, theta=np.concatenate(list(parts.values())), unit=float(scale[y]),
        at={name: slice(ends[place], ends[place + 1]) for place, name in enumerate(parts)},
        residual_first=products[np.ix_(m, m)] - products[np.ix_(m, first)] @ alpha,
        residual_second=float(products[y, y] - products[y, second] @ beta),
    )  # fmt: skip


def directions(frame: Frame, fit: Equations) -> tuple[Matrix, Matrix]:
    """Return the derivatives of the coefficients by residuals.

    Returns:
        (q, k) combination of the mediators' regressors: the derivative of each coefficient by a residual of its
        mediator, and (q, l) of the outcome's; one of the two is 0 in each row.
    """
    q, mediators, k = len(fit.theta), len(fit.responses), len(fit.first)
    left, right = np.zeros((q, k)), np.zeros((q, len(fit.second)))
    scale, t = frame.scale, frame.column("t")
    for place, m in enumerate(fit.responses):
        left[fit.at["a"].start + place] = fit.inverse_first[-1] * scale[m] / scale[t]
        left[fit.at["m"].start + place] = fit.inverse_first @ fit.mean * scale[m]
        right[fit.at["b"].start + place] = fit.inverse_second[k + place] / scale[m]
        if len(fit.second) > k + mediators:
            i = fit.second[k + mediators + place]
            right[fit.at["d"].start + place] = fit.inverse_second[k + mediators + place] / scale[i]
    right[fit.at["c"].start] = fit.inverse_second[k - 1] / scale[t]
    return left, right


def residuals(frame: Frame, fit: Equations) -> tuple[Matrix, Vector]:
    """Return (m, n) residuals of the mediators and (n,) of the outcome, standardised."""
    of_mediators, of_outcome = np.empty((len(fit.responses), frame.n)), np.empty(frame.n)
    y = frame.column("y")

    def work(s: slice) -> None:
        block = frame.matrix[:, s]
        np.subtract(block[fit.responses], fit.alpha.T @ block[fit.first], out=of_mediators[:, s])
        np.subtract(block[y], fit.beta @ block[fit.second], out=of_outcome[s])

    frame.rows.each(work)
    return of_mediators, of_outcome


def row_moves(frame: Frame, fit: Equations) -> Matrix:
    """Return (q, n) each row's contribution to the coefficients: estimates less true values are about the sums."""
    left, right = directions(frame, fit)
    moves = np.zeros((len(fit.theta), frame.n))
    mediators, k = len(fit.responses), len(fit.first)
    total = float(frame.products[0, 0])
    of_mediators, of_outcome = residuals(frame, fit)
    second = np.r_[fit.at["b"], fit.at["c"], fit.at["d"]]

    def work(s: slice) -> None:
        weights = 1.0 if frame.weights is None else frame.weights[s]
        block = frame.matrix[:, s]
        moves[second, s] = (right[second] @ block[fit.second]) * (weights * of_outcome[s])
        for place, m in enumerate(fit.responses):
            weighted = weights * of_mediators[place, s]
            a, mean = fit.at["a"].start + place, fit.at["m"].start + place
            moves[a, s] = (left[a] @ block[fit.first]) * weighted
            moves[mean, s] = (left[mean] @ block[fit.first]) * weighted
            # The mean over the covariates is that of these rows.
            spread = fit.alpha[: k - 1, place] @ (block[fit.first[:-1]] - fit.mean[:-1, None])
            moves[mean, s] += weights * spread * frame.scale[m] / total

    frame.rows.each(work)
    moves[fit.at["d"]] *= float(len(fit.second) > k + mediators)
    return moves


def equal_variance(frame: Frame, fit: Equations, gradient: Vector) -> float:
    """Return the variance of a combination of the coefficients under homoskedastic residuals."""
    left, right = directions(frame, fit)
    n, mediators = frame.n, len(fit.responses)
    outcome = gradient @ right
    products = frame.products[np.ix_(fit.second, fit.second)]
    variance = float(outcome @ products @ outcome) * fit.residual_second / (n - len(fit.second))
    of_each = np.zeros((mediators, len(fit.first)))
    for name in ("a", "m"):
        at = fit.at[name]
        of_each += gradient[at, None] * left[at]
    within = of_each @ frame.products[np.ix_(fit.first, fit.first)] @ of_each.T
    return variance + float((within * fit.residual_first).sum()) / (n - len(fit.first))


def covariance_of(moves: Matrix, clusters: Clusters) -> Matrix:
    """Return the (q, q) covariance of sums of (q, n) contributions, clustered by the first dimension."""
    if not clusters.codes:
        return np.asarray(moves @ moves.T)
    codes, count = compress(clusters.codes[0])
    sums = np.stack([np.bincount(codes, row, count) for row in moves])
    return np.asarray(sums @ sums.T)
