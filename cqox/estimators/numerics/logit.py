"""Logistic regression on blocks of rows, on the full sample and leave-one-fold-out."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.blocked_matmul import combined, cross
from cqox.estimators.numerics.frame import Crossed, Frame
from cqox.estimators.numerics.gram import gram, gram_partial, independent_each
from cqox.estimators.numerics.quasi_newton import ITERATIONS, LONGEST_STEP, QuasiNewton, reach
from cqox.estimators.numerics.row_blocks import Partial, Rows
from cqox.estimators.numerics.scratch_memory import scratch

__all__ = [
    "Logit",
    "carried_over",
    "cross_fit_logit",
    "discriminant",
    "expit",
    "fit_logit",
    "fit_logits",
    "gradient_partial",
    "information_partial",
]

_GRADIENT = 1e-12
_FOLD_GRADIENT = 1e-10
_START_ROWS = 16_384
_START_BLOCK = 4_096
_FEW = 24
_SEPARATED = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Logit:
    """A fitted logit on the variables `x` of a frame.

    Attributes:
        frame: the variables.
        coefficients: (k,) on the standardised variables.
        probabilities: (n,) fitted.
        nearly: (k, k) the approximate information at the coefficients, within a few per cent, as a starting value for
            fits of nearly the same rows.
    """

    frame: Frame
    coefficients: Vector
    probabilities: Vector
    nearly: Matrix

    def raw_coefficients(self) -> dict[str, float]:
        """Return the coefficients by label, for variables in their own units."""
        frame = self.frame
        x = frame.at["x"]
        slopes = self.coefficients[1:] / frame.scale[1 : x.stop]
        intercept = float(self.coefficients[0] - slopes @ frame.centre[1 : x.stop])
        labels = frame.labels[1 : x.stop]
        return {frame.labels[0]: intercept, **dict(zip(labels, slopes.tolist(), strict=True))}

    def inverse(self) -> Matrix:
        """Return the (k, k) inverse of the information at the coefficients."""
        return _inverse(_information(self.frame, self.probabilities))


def expit(eta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-eta)) for finite values of any size, in place of eta."""
    return _of_negative(np.negative(eta, out=eta))


def _of_negative(eta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the same for -eta, which costs nothing extra: the product uses negated coefficients."""
    with np.errstate(over="ignore"):
        np.exp(eta, out=eta)
    eta += 1.0
    return np.divide(1.0, eta, out=eta)


def gradient_partial(z: Matrix, treated: Vector, weights: Vector | None, probabilities: Vector) -> Partial:
    """Return the (k,) gradient of the log likelihood of a block of k variables, one variable per row."""
    residual = treated - probabilities
    if weights is not None:
        residual *= weights
    return (cross(z, residual[None])[:, 0],)


def information_partial(z: Matrix, weights: Vector | None, probabilities: Vector) -> Partial:
    """Return the (k, k) information of a block."""
    return gram_partial(z, _curvature(probabilities, weights))


def _curvature(probabilities: Vector, weights: Vector | None) -> Vector:
    curvature = probabilities * (1.0 - probabilities)
    if weights is not None:
        curvature *= weights
    return curvature


def _information(frame: Frame, probabilities: Vector) -> Matrix:
    k, weights = frame.at["x"].stop, frame.weights

    def work(s: slice) -> Partial:
        return information_partial(frame.matrix[:k, s], None if weights is None else weights[s], probabilities[s])

    (information,) = frame.rows.total(work)
    return information


def _inverse(information: Matrix) -> Matrix:
    try:
        inverse = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        inverse = np.linalg.pinv(information, hermitian=True)
    return np.asarray((inverse + inverse.T) / 2)


def fit_logit(frame: Frame, treated: Vector) -> Logit:
    """Fit the logit of the frame's 0/1 variable `t` on the variables `x`, to a mean gradient of 1e-12.

    Args:
        frame: the variables.
        treated: (n,) the 0/1 values of `t`.

    Raises:
        UnusableData: the variables separate the two arms perfectly.
    """
    return _not_separated(_fit_frame(frame, treated, _GRADIENT), treated)


def fit_logits(
    frame: Frame, treated: Vector, folds: NDArray[np.integer], products: NDArray[np.float64]
) -> tuple[Logit, Vector | None]:
    """Fit the logit and those without each fold in the same passes, as `fit_logit` and `cross_fit_logit` do in turn.

    A pass over many variables for all fits takes hardly longer than one for those without a fold. The fit on all rows
    begins alone, until it is as near to its maximum as leaving a fold out moves the maximum. With few variables, whose
    passes take as long as the exponentials of all fits, nothing is gained.

    Returns:
        The logit, and the (n,) probability of each row from the logit without its fold; None with few variables, or if
        one of the logits without a fold has no maximum.

    Raises:
        UnusableData: the variables separate the two arms perfectly.
    """
    if products.shape[1] <= _FEW:
        return fit_logit(frame, treated), None
    share = float(treated.mean())
    nearby = _fit_frame(frame, treated, math.sqrt(share * (1.0 - share) / (frame.n * len(products))))
    work = _ByFold(nearby, treated, folds, products, together=True)
    enough = np.full(len(products) + 1, _FOLD_GRADIENT * frame.n)
    enough[-1] = _GRADIENT * frame.n
    if not work.solver.run(work.gradients, work.inverses, enough):
        return fit_logit(frame, treated), None
    fit = replace(nearby, coefficients=work.solver.coefficients[-1], nearly=work.solver.information(-1))
    return _not_separated(fit, treated), work.probabilities


def _fit_frame(frame: Frame, treated: Vector, enough: float) -> Logit:
    k = frame.at["x"].stop
    start, step = discriminant(frame), frame.n // _START_ROWS
    nearly = None
    if step >= 4:
        start, nearly = _strided(frame, treated, step, start)
    coefficients, probabilities, nearly = _fit(
        frame.rows, frame.matrix[:k], treated, frame.weights, start, enough, products=frame.products[:k, :k],
        nearly=nearly,
    )  # fmt: skip
    return Logit(frame=frame, coefficients=coefficients, probabilities=probabilities, nearly=nearly)


def _not_separated(fit: Logit, treated: Vector) -> Logit:
    if float(np.abs(treated - fit.probabilities).max()) < _SEPARATED:
        raise UnusableData(Message("numerics.arms-separated"))
    return fit


def _fit(
    rows: Rows,
    z: Matrix,
    treated: Vector,
    weights: Vector | None,
    start: Vector,
    enough: float,
    *,
    products: Matrix,
    nearly: Matrix | None = None,
) -> tuple[Vector, Vector, Matrix]:
    """Return the (k,) maximum likelihood coefficients, the (n,) fitted probabilities, and an approximate information.

    `products` are the cross-products of the variables up to a factor. An approximate information may be given, which
    the steps refine.
    """
    probabilities = np.empty(rows.n)

    def of(s: slice) -> Vector | None:
        return None if weights is None else weights[s]

    def gradients() -> Matrix:
        def work(s: slice) -> Partial:
            block = z[:, s]
            p = probabilities[s]
            _of_negative(np.matmul(-solver.coefficients[0], block, out=p))
            return gradient_partial(block, treated[s], of(s), p)

        (gradient,) = rows.total(work)
        return gradient[None]

    def inverses() -> NDArray[np.float64]:
        (information,) = rows.total(lambda s: information_partial(z[:, s], of(s), probabilities[s]))
        return _inverse(information)[None]

    def opening(s: slice) -> Partial:
        block, p = z[:, s], probabilities[s]
        _of_negative(np.matmul(-start, block, out=p))
        return *gradient_partial(block, treated[s], of(s), p), *information_partial(block, of(s), p)

    first = None
    if nearly is None:
        gradient, nearly = rows.total(opening)
        first = gradient[None]
    solver = QuasiNewton(start[None], _inverse(nearly)[None], products)
    if not solver.run(gradients, inverses, enough * rows.n, first):
        raise UnusableData(Message("numerics.logit-diverges", steps=ITERATIONS))
    return solver.coefficients[0], probabilities, solver.information()


def discriminant(frame: Crossed) -> Vector:
    """Return (k,) the discriminant-analysis logit, exact for variables normal within each arm: a cheap starting
    value."""
    k, t = frame.at["x"].stop, frame.column("t")
    products, right = frame.products[:k, :k], frame.products[:k, t]
    slopes = np.linalg.solve(products, right)
    residual = float(frame.products[t, t] - right @ slopes)
    if residual <= 1e-6 * frame.n:
        return np.zeros(k)
    share = float(frame.centre[t] + frame.scale[t] * right[0] / products[0, 0])
    coefficients = np.asarray(slopes * (products[0, 0] / residual / frame.scale[t]))
    means = frame.products[0, 1:k] / products[0, 0]
    coefficients[0] = np.log(share / (1 - share)) - means @ coefficients[1:]
    return coefficients if reach(coefficients[None], products)[0] < LONGEST_STEP else np.zeros(k)


def _strided(frame: Frame, treated: Vector, step: int, start: Vector) -> tuple[Vector, Matrix | None]:
    """Fit a stride of the rows, as a starting value, with the approximate information of all rows; return the starting
    value itself and no information if the stride has no fit.
    """
    k = len(start)
    z = np.array(frame.matrix[:k, ::step], order="C")
    weights = None if frame.weights is None else np.array(frame.weights[::step])
    # For few variables the product is done before another thread starts.
    rows = Rows(n=z.shape[1], block=_START_BLOCK, threads=frame.rows.threads if k > _FEW else 1)
    products = gram(rows, z, weights)
    try:
        coefficients, _, information = _fit(rows, z, np.array(treated[::step]), weights, start, 1e-6, products=products)
    except UnusableData:
        return start, None
    return coefficients, carried_over(information, products, frame.products[:k, :k])


def carried_over(information: Matrix, products: Matrix, others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the approximate (k, k) information of other rows, from that of some rows and the cross-products of both.

    The information is scaled by the number of rows, and corrected by the known difference of the cross-products times
    the mean p(1 - p). What remains is the difference of p(1 - p) between the two sets of rows.
    """
    share = others[..., :1, :1] / products[0, 0]
    return np.asarray(share * information + information[0, 0] / products[0, 0] * (others - share * products))


def cross_fit_logit(fit: Logit, treated: Vector, folds: NDArray[np.integer], products: NDArray[np.float64]) -> Vector:
    """Return (n,) the probability of each row from the logit fitted without its fold, to a mean gradient of 1e-10.

    All fits start at the full-sample fit; each pass over the rows serves all of them.

    Args:
        fit: the full-sample logit.
        treated: (n,) the 0/1 values of `t`.
        folds: (n,) the fold of each row.
        products: (folds, k, k) cross-products of the variables within each fold.

    Raises:
        UnusableData: without one of the folds the covariates separate the arms.
    """
    work = _ByFold(fit, treated, folds, products)
    if not work.solver.run(work.gradients, work.inverses, _FOLD_GRADIENT * fit.frame.n):
        raise UnusableData(Message("numerics.logit-diverges-without-fold"))
    return work.probabilities


class _ByFold:
    """The logits without each fold, and as the last one, where wanted, that on all rows together.

    Attributes:
        solver: the fits.
        probabilities: (n,) of each row, without its fold.
        together: (n,) of each row by the last fit, where wanted; they replace those of the fit to begin with.
    """

    def __init__(
        self,
        fit: Logit,
        treated: Vector,
        folds: NDArray[np.integer],
        products: NDArray[np.float64],
        *,
        together: bool = False,
    ) -> None:
        self.frame, self.treated, self.folds, self.n_folds = fit.frame, treated, folds, len(products)
        self.k = fit.frame.at["x"].stop
        self.probabilities, self.together = np.empty(fit.frame.n), fit.probabilities if together else None
        whole, left_out = products.sum(axis=0), np.zeros((self.n_folds + together, *products.shape[1:]))
        left_out[: self.n_folds] = products
        rest = whole - left_out
        self.used = independent_each(rest)
        shares = self._shares(fit)
        gradient = np.tile(shares.sum(axis=0), (len(rest), 1))
        gradient[: self.n_folds] -= shares
        self.solver = QuasiNewton(
            np.where(self.used, fit.coefficients, 0.0), self._inverted(carried_over(fit.nearly, whole, rest)), whole
        )
        complete = self.used.all(axis=1, keepdims=True)
        self.solver.step(np.where(complete, gradient, 0.0))

    def _shares(self, fit: Logit) -> Matrix:
        """Return (folds, k) gradients of each fold's rows at the full-sample fit."""
        frame = self.frame

        def work(s: slice) -> Partial:
            residual = self.treated[s] - fit.probabilities[s]
            if frame.weights is not None:
                residual *= frame.weights[s]
            by_fold = scratch("by fold", self.n_folds, len(residual))
            by_fold.fill(0.0)
            by_fold[self.folds[s], np.arange(len(residual))] = residual
            return (cross(by_fold, frame.matrix[: self.k, s]),)

        (gradient,) = frame.rows.total(work)
        return gradient

    def gradients(self) -> Matrix:
        """Return the (fits, k) gradient of each fit; store each row's probability without its fold."""
        frame, coefficients = self.frame, self.solver.coefficients

        def work(s: slice) -> Partial:
            z, folds = frame.matrix[: self.k, s], self.folds[s]
            p = _of_negative(combined(-coefficients, z, scratch("eta", len(coefficients), len(folds))))
            own = folds * np.int64(len(folds)) + np.arange(len(folds))
            self.probabilities[s] = p.ravel()[own]
            if self.together is not None:
                self.together[s] = p[-1]
            residual = np.subtract(self.treated[s], p, out=p)
            if frame.weights is not None:
                residual *= frame.weights[s]
            residual.ravel()[own] = 0.0
            return (cross(residual, z),)

        (gradients,) = frame.rows.total(work)
        return gradients

    def inverses(self) -> NDArray[np.float64]:
        """Return the (fits, k, k) inverse information of each fit at its current coefficients."""
        frame, coefficients = self.frame, self.solver.coefficients

        def work(s: slice) -> Partial:
            z, folds = frame.matrix[: self.k, s], self.folds[s]
            curvature = _curvature(expit(coefficients @ z), None if frame.weights is None else frame.weights[s])
            curvature[folds, np.arange(len(folds))] = 0.0
            return (np.stack([gram_partial(z, each)[0] for each in curvature]),)

        (information,) = frame.rows.total(work)
        return self._inverted(information)

    def _inverted(self, information: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the inverses on the variables that each fit uses, 0 elsewhere."""
        if self.used.all():
            try:
                return np.asarray(np.linalg.inv(information))
            except np.linalg.LinAlgError:
                pass
        result = np.zeros_like(information)
        for fold, used in enumerate(self.used):
            place = np.ix_(used, used)
            result[fold][place] = np.linalg.pinv(information[fold][place], hermitian=True)
        return result
