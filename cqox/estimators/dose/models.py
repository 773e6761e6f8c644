"""The models of a continuous treatment (dose) and of the outcome, and the pseudo-outcomes from both.

The dose is normal around a line of the covariates. The outcome is a cubic in the dose and a line in the covariates,
with interactions.
"""

from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import solve
from cqox.estimators.numerics.row_blocks import Partial
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["Models", "basis", "dose_models", "dose_sample", "pseudo_outcomes", "slope_basis", "stabilised"]

_GRID = (128, 2048)
_CELLS = 512
_DETERMINED = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Both models fitted, in standardised units.

    Attributes:
        frame: covariates, dose and outcome.
        assignment: the covariates of the dose model; the same frame unless others are mapped for it.
        weights: (n,) sampling weights, of mean 1.
        dose: (n,) standardised.
        line: (k,) of the dose on the covariates.
        inverse_line: (k, k) inverse of their cross-products.
        deviation: (n,) residual of the dose.
        variance: its mean square.
        beta: (2k + 2,) of the outcome's terms.
        inverse: of their cross-products.
        residual: (n,) of the outcome.
        mean: (k,) covariates averaged, the intercept first.
        r2: share of the dose's variance that the covariates explain.
    """

    frame: Frame
    assignment: Frame
    weights: Vector
    dose: Vector
    line: Vector
    inverse_line: Matrix
    deviation: Vector
    variance: float
    beta: Vector
    inverse: Matrix
    residual: Vector
    mean: Vector
    r2: float

    @property
    def k(self) -> int:
        """The number of outcome covariates, the intercept included."""
        return len(self.mean)


def dose_sample(plan: Plan) -> Sample:
    """Return the rows that both models use."""
    return plan.sample("y", "treatment", "covariates", "propensity_covariates")


def basis(x: Matrix, z: Vector) -> Matrix:
    """Return (2k + 2, n) terms of the outcome: covariates, the dose times each of them, its square and its cube."""
    k = len(x)
    terms = np.empty((2 * k + 2, len(z)))
    terms[:k] = x
    np.multiply(x, z, out=terms[k : 2 * k])
    np.multiply(z, z, out=terms[2 * k])
    np.multiply(terms[2 * k], z, out=terms[2 * k + 1])
    return terms


def slope_basis(x: Matrix, z: Vector) -> Matrix:
    """Return (2k + 2, n) their derivatives with respect to the dose."""
    k = len(x)
    slopes = np.zeros((2 * k + 2, len(z)))
    slopes[k : 2 * k] = x
    slopes[2 * k] = 2 * z
    slopes[2 * k + 1] = 3 * z * z
    return slopes


def dose_models(plan: Plan) -> Models:
    """Return both models of a plan's dose, fitted once.

    Raises:
        UnusableData: the covariates determine the dose, or there are more terms than rows.
    """
    return plan.share("dose models", lambda: _fitted(plan))


def _fitted(plan: Plan) -> Models:
    sample, data = dose_sample(plan), plan.data
    frame = plan.frame("xty", sample)
    same = data.propensity_covariates is data.covariates or not plan.has("propensity_covariates")
    assignment = frame if same else plan.frame("wt", sample)
    k, t, y = frame.at["x"].stop, frame.column("t"), frame.column("y")
    if frame.n <= 2 * k + 3:
        raise UnusableData(Message("inference.too-few-rows", rows=frame.n, coefficients=2 * k + 2))
    weights = np.ones(frame.n) if frame.weights is None else frame.weights
    dose, outcome = frame.matrix[t], frame.matrix[y]

    def work(s: slice) -> Partial:
        terms = basis(frame.matrix[:k, s], dose[s])
        weighted = terms * weights[s]
        return weighted @ terms.T, weighted @ outcome[s]

    products, right = frame.rows.total(work)
    fit = solve(products, right[:, None])
    beta, residual = fit.coefficients[:, 0], np.empty(frame.n)

    def leave(s: slice) -> None:
        np.subtract(outcome[s], beta @ basis(frame.matrix[:k, s], dose[s]), out=residual[s])

    frame.rows.each(leave)
    width, own = assignment.at["x"].stop, assignment.column("t")
    line = solve(assignment.products[:width, :width], assignment.products[:width, [own]])
    deviation = assignment.matrix[own] - line.coefficients[:, 0] @ assignment.matrix[:width]
    variance = float(weights @ (deviation * deviation) / weights.sum())
    centred = dose - float(weights @ dose / weights.sum())
    whole = float(weights @ (centred * centred) / weights.sum())
    if variance <= _DETERMINED * whole:
        raise UnusableData(Message("dose.determined-by-covariates", dose=plan.label("treatment")))
    return Models(
        frame=frame, assignment=assignment, weights=weights, dose=dose, line=line.coefficients[:, 0],
        inverse_line=line.inverse, deviation=deviation, variance=variance, beta=beta, inverse=fit.inverse,
        residual=residual, mean=frame.products[:k, 0] / frame.products[0, 0], r2=1.0 - variance / whole,
    )  # fmt: skip


def stabilised(models: Models) -> Vector:
    """Return (n,) stabilised weights: the marginal density of a row's dose over its conditional density.

    The marginal density is computed on a grid, from the rows' binned lines.
    """
    dose, weights, sd = models.dose, models.weights, np.sqrt(models.variance)
    centre = dose - models.deviation
    low, high = float(centre.min()), float(centre.max())
    points = int(np.clip(16 * (float(np.ptp(dose)) / sd), *_GRID))
    grid = np.linspace(float(dose.min()), float(dose.max()), points)
    cells = int(np.clip(16 * (high - low) / sd, _CELLS, 4 * _CELLS))
    at, share = _in_cells(centre, weights, low, high, cells)
    density = np.exp(-0.5 * ((grid[:, None] - at) / sd) ** 2) @ share
    log_marginal = np.interp(dose, grid, np.log(np.maximum(density, 1e-300)))
    return np.asarray(np.exp(log_marginal + 0.5 * models.deviation**2 / models.variance))


def _in_cells(values: Vector, weights: Vector, low: float, high: float, cells: int) -> tuple[Vector, Vector]:
    """Return (cells,) positions, and the share of the rows at each, by linear binning."""
    if not high > low:
        return np.array([low]), np.array([1.0])
    place = (values - low) / (high - low) * (cells - 1)
    left = np.minimum(place.astype(np.intp), cells - 2)
    over = place - left
    share = np.bincount(left, weights * (1.0 - over), cells) + np.bincount(left + 1, weights * over, cells)
    return np.linspace(low, high, cells), share / share.sum()


def pseudo_outcomes(models: Models, stable: Vector) -> Vector:
    """Return (n,) pseudo-outcomes at each row's dose for average covariates; Kennedy et al., equation 2."""
    k, z = models.k, models.dose
    flat = models.beta[:k] @ models.mean
    slope = models.beta[k : 2 * k] @ models.mean
    square, cube = models.beta[2 * k :]
    return np.asarray(stable * models.residual + flat + z * (slope + z * (square + z * cube)))
