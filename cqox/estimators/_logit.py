"""Logistic regression by Newton's method on blocks of rows, whole and leave-one-fold-out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.errors import UnusableData
from cqox.estimators._chunks import Partial, Rows
from cqox.estimators._frame import Frame
from cqox.estimators._gram import grouped_gram_partial, independent
from cqox.estimators.data import Matrix, Vector

__all__ = ["Logit", "cross_fit_logit", "expit", "fit_logit", "newton_partial"]

_GRADIENT = 1e-12
_FOLD_GRADIENT = 1e-10
_ITERATIONS = 60
_LONGEST_STEP = 8.0
_START_ROWS = 16_384
_SEPARATED = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Logit:
    """A fitted logit on the columns `x` of a frame.

    Attributes:
        frame: the columns.
        coefficients: (k,) on the standardised columns.
        inverse: (k, k) inverse of the information.
        probabilities: (n,) fitted.
    """

    frame: Frame
    coefficients: Vector
    inverse: Matrix
    probabilities: Vector

    def raw_coefficients(self) -> dict[str, float]:
        """The coefficients by label, for columns in their own units."""
        frame = self.frame
        x = frame.at["x"]
        slopes = self.coefficients[1:] / frame.scale[1 : x.stop]
        intercept = float(self.coefficients[0] - slopes @ frame.centre[1 : x.stop])
        labels = frame.labels[1 : x.stop]
        return {frame.labels[0]: intercept, **dict(zip(labels, slopes.tolist(), strict=True))}


def expit(eta: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-eta)) for finite values of any size."""
    with np.errstate(over="ignore"):
        result = np.exp(-eta)
    result += 1.0
    return np.divide(1.0, result, out=result)


def newton_partial(z: Matrix, treated: Vector, weights: Vector | None, coefficients: Vector) -> Partial:
    """(k,) gradient and (k, k) information of a block's log likelihood."""
    p = expit(z @ coefficients)
    residual = treated - p
    curvature = p * (1.0 - p)
    if weights is not None:
        residual *= weights
        curvature *= weights
    scaled = z * np.sqrt(curvature)[:, None]
    return residual @ z, scaled.T @ scaled


def fit_logit(frame: Frame, treated: Vector) -> Logit:
    """The logit of a 0/1 vector on the columns `x`, to a mean gradient of 1e-12.

    Raises:
        UnusableData: the columns tell the two arms apart without error.
    """
    k = frame.at["x"].stop
    z, weights = frame.matrix[:, :k], frame.weights
    start = np.zeros(k)
    step = frame.n // _START_ROWS
    if step >= 4:
        start = _start(frame, treated, step)
    coefficients, information = _newton(frame.rows, z, treated, weights, start)
    probabilities = np.empty(frame.n)

    def work(s: slice) -> float:
        p = expit(z[s] @ coefficients)
        probabilities[s] = p
        return float(np.abs(treated[s] - p).max())

    if max(frame.rows.each(work)) < _SEPARATED:
        raise UnusableData(
            "The covariates of the treatment model tell treated from untreated rows without error, so that no row has "
            "a counterpart; leave out the ones that follow from the treatment."
        )
    return Logit(
        frame=frame, coefficients=coefficients, inverse=np.linalg.pinv(information, hermitian=True),
        probabilities=probabilities,
    )  # fmt: skip


def _start(frame: Frame, treated: Vector, step: int) -> Vector:
    """A fit on a stride of the rows, from which the whole needs few iterations; zeros where it has none."""
    z = np.ascontiguousarray(frame.matrix[::step, : frame.at["x"].stop])
    weights = None if frame.weights is None else np.ascontiguousarray(frame.weights[::step])
    rows = Rows(n=len(z), block=frame.rows.block, threads=1)
    try:
        coefficients, _ = _newton(rows, z, np.ascontiguousarray(treated[::step]), weights, np.zeros(z.shape[1]), 1e-6)
    except UnusableData:
        return np.zeros(z.shape[1])
    return coefficients


def _newton(
    rows: Rows, z: Matrix, treated: Vector, weights: Vector | None, start: Vector, enough: float = _GRADIENT
) -> tuple[Vector, Matrix]:
    """The maximum of the likelihood and the information at it."""
    coefficients = start

    def work(s: slice) -> Partial:
        return newton_partial(z[s], treated[s], None if weights is None else weights[s], coefficients)

    for _ in range(_ITERATIONS):
        gradient, information = rows.total(work)
        if np.abs(gradient).max() <= enough * rows.n:
            return coefficients, information
        coefficients = coefficients + _step(information, gradient)
    raise UnusableData(
        "The logit of the treatment does not converge: some covariates predict the treatment almost without error; "
        "leave them out."
    )


def _step(information: Matrix, gradient: Vector) -> Vector:
    """A Newton step, shortened where the likelihood is nearly flat."""
    try:
        step = np.linalg.solve(information, gradient)
    except np.linalg.LinAlgError:
        step = np.linalg.pinv(information, hermitian=True) @ gradient
    longest = float(np.abs(step).max())
    return step if longest <= _LONGEST_STEP else np.asarray(step * (_LONGEST_STEP / longest))


def cross_fit_logit(fit: Logit, treated: Vector, folds: NDArray[np.integer], n_folds: int) -> Vector:
    """(n,) the probability of each row from the logit fitted without its fold, to a mean gradient of 1e-10.

    One pass gives every fold's share of gradient and information at the whole fit, so that the first Newton step of all
    leave-one-out fits costs one fit; the rest are chord steps with that information, renewed where they are slow.

    Raises:
        UnusableData: without one of the folds the covariates predict the treatment without error.
    """
    work = _FoldFits(fit, treated, folds, n_folds)
    for iteration in range(_ITERATIONS):
        gradients = work.gradients()
        if np.abs(gradients).max() <= _FOLD_GRADIENT * fit.frame.n:
            return work.probabilities
        if iteration >= 4 and iteration % 3 == 1:
            work.renew()
        work.step(gradients)
    raise UnusableData(
        "Without one of the folds the logit of the treatment does not converge; use fewer covariates or folds."
    )


class _FoldFits:
    """The logits without each fold, side by side."""

    def __init__(self, fit: Logit, treated: Vector, folds: NDArray[np.integer], n_folds: int) -> None:
        self.frame, self.treated, self.folds, self.n_folds = fit.frame, treated, folds, n_folds
        self.k = fit.frame.at["x"].stop
        self.probabilities = np.empty(fit.frame.n)
        self.coefficients = np.repeat(fit.coefficients[:, None], n_folds, axis=1)
        gradient, information = self._shares(fit)
        whole_gradient, whole = gradient.sum(axis=1), information.sum(axis=0)
        self.inverses = np.empty((n_folds, self.k, self.k))
        self.used = np.ones((self.k, n_folds), dtype=np.bool_)
        for fold in range(n_folds):
            rest = whole - information[fold]
            kept = independent(rest)
            self.used[:, fold] = False
            self.used[kept, fold] = True
            self.inverses[fold] = self._inverse(rest, fold)
            if len(kept) == self.k:
                self.coefficients[:, fold] += _limited(self.inverses[fold] @ (whole_gradient - gradient[:, fold]))
            else:
                self.coefficients[~self.used[:, fold], fold] = 0.0

    def _shares(self, fit: Logit) -> tuple[Matrix, NDArray[np.float64]]:
        frame = self.frame

        def work(s: slice) -> Partial:
            z, p, folds = frame.matrix[s, : self.k], fit.probabilities[s], self.folds[s]
            residual, curvature = self.treated[s] - p, p * (1.0 - p)
            if frame.weights is not None:
                residual *= frame.weights[s]
                curvature *= frame.weights[s]
            by_fold = np.zeros((len(p), self.n_folds))
            by_fold[np.arange(len(p)), folds] = residual
            information, _ = grouped_gram_partial(z, curvature, folds, self.n_folds)
            return z.T @ by_fold, information

        gradient, information = frame.rows.total(work)
        return gradient, information

    def gradients(self) -> Matrix:
        """(k, folds) gradient of each fit's likelihood; keeps each row's probability without its fold."""
        frame = self.frame

        def work(s: slice) -> Partial:
            z, folds = frame.matrix[s, : self.k], self.folds[s]
            p = expit(z @ self.coefficients)
            own = np.arange(len(folds)), folds
            self.probabilities[s] = p[own]
            residual = np.subtract(self.treated[s, None], p, out=p)
            if frame.weights is not None:
                residual *= frame.weights[s, None]
            residual[own] = 0.0
            return (z.T @ residual,)

        (gradients,) = frame.rows.total(work)
        return np.where(self.used, gradients, 0.0)

    def step(self, gradients: Matrix) -> None:
        """Move every fit by its information."""
        for fold in range(self.n_folds):
            self.coefficients[:, fold] += _limited(self.inverses[fold] @ gradients[:, fold])

    def renew(self) -> None:
        """Take the information at the present coefficients."""
        frame = self.frame

        def work(s: slice) -> Partial:
            z, folds = frame.matrix[s, : self.k], self.folds[s]
            p = expit(z @ self.coefficients)
            curvature = p * (1.0 - p)
            if frame.weights is not None:
                curvature *= frame.weights[s, None]
            curvature[np.arange(len(folds)), folds] = 0.0
            return (np.stack([(z * curvature[:, [fold]]).T @ z for fold in range(self.n_folds)]),)

        (information,) = frame.rows.total(work)
        for fold in range(self.n_folds):
            self.inverses[fold] = self._inverse(information[fold], fold)

    def _inverse(self, information: Matrix, fold: int) -> Matrix:
        used = np.flatnonzero(self.used[:, fold])
        result = np.zeros_like(information)
        result[np.ix_(used, used)] = np.linalg.pinv(information[np.ix_(used, used)], hermitian=True)
        return result


def _limited(step: Vector) -> Vector:
    longest = float(np.abs(step).max())
    return step if longest <= _LONGEST_STEP else np.asarray(step * (_LONGEST_STEP / longest))
