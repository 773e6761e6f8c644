"""Logistic regression on blocks of rows, whole and leave-one-fold-out.

All fits climb in one way: the information is taken once where the climb begins; each step then learns from the last
(Broyden), so that a pass over the rows needs gradients only; where that is slow the information is taken again, which
is Newton's method. A climb ends at a gradient, not at a small step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.errors import UnusableData
from cqox.estimators._chunks import Partial, Rows
from cqox.estimators._frame import Frame
from cqox.estimators._gram import gram_partial, grouped_gram_partial, independent
from cqox.estimators._scratch import scratch
from cqox.estimators.data import Matrix, Vector

__all__ = ["Logit", "cross_fit_logit", "expit", "fit_logit", "gradient_partial", "information_partial"]

_GRADIENT = 1e-12
_FOLD_GRADIENT = 1e-10
_ITERATIONS = 60
_LONGEST_STEP = 8.0
_SLOW = 0.25
_START_ROWS = 16_384
_SEPARATED = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Logit:
    """A fitted logit on the variables `x` of a frame.

    Attributes:
        frame: the variables.
        coefficients: (k,) on the standardised variables.
        probabilities: (n,) fitted.
    """

    frame: Frame
    coefficients: Vector
    probabilities: Vector

    def raw_coefficients(self) -> dict[str, float]:
        """The coefficients by label, for variables in their own units."""
        frame = self.frame
        x = frame.at["x"]
        slopes = self.coefficients[1:] / frame.scale[1 : x.stop]
        intercept = float(self.coefficients[0] - slopes @ frame.centre[1 : x.stop])
        labels = frame.labels[1 : x.stop]
        return {frame.labels[0]: intercept, **dict(zip(labels, slopes.tolist(), strict=True))}

    def inverse(self) -> Matrix:
        """(k, k) inverse of the information at the coefficients."""
        return _inverse(_information(self.frame, self.probabilities))


def expit(eta: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-eta)) for finite values of any size, in the place of eta."""
    with np.errstate(over="ignore"):
        np.exp(np.negative(eta, out=eta), out=eta)
    eta += 1.0
    return np.divide(1.0, eta, out=eta)


def gradient_partial(z: Matrix, treated: Vector, weights: Vector | None, probabilities: Vector) -> Partial:
    """(k,) gradient of the log likelihood of a block of k variables, a variable in each row."""
    residual = treated - probabilities
    if weights is not None:
        residual *= weights
    return (z @ residual,)


def information_partial(z: Matrix, weights: Vector | None, probabilities: Vector) -> Partial:
    """(k, k) information of a block."""
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


class _Climb:
    """Fits side by side, each with (k,) coefficients and a (k, k) inverse information that learns from its steps."""

    def __init__(self, coefficients: Matrix, inverses: NDArray[np.float64]) -> None:
        self.coefficients, self.inverses = coefficients, inverses
        self._last: tuple[Matrix, Matrix] | None = None

    def run(self, gradients: Callable[[], Matrix], inverses: Callable[[], NDArray[np.float64]], enough: float) -> bool:
        """Climb until no (fits, k) gradient exceeds `enough`; False where that does not come about."""
        before = np.inf
        for _ in range(_ITERATIONS):
            found = gradients()
            size = float(np.abs(found).max())
            if size <= enough:
                return True
            if size > _SLOW * before:
                self.inverses, self._last = inverses(), None
            before = size
            self._learn(found)
            self.step(found)
        return False

    def step(self, gradients: Matrix) -> None:
        """Move every fit by its inverse information, less far where the likelihood is nearly flat."""
        steps = np.einsum("fij,fj->fi", self.inverses, gradients)
        longest = np.abs(steps).max(axis=1, keepdims=True)
        steps *= np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))
        self.coefficients = self.coefficients + steps
        self._last = steps, gradients

    def _learn(self, gradients: Matrix) -> None:
        if self._last is None:
            return
        moved, change = self._last[0], self._last[1] - gradients
        predicted = np.einsum("fij,fj->fi", self.inverses, change)
        along = np.einsum("fi,fij->fj", moved, self.inverses)
        length = np.einsum("fi,fi->f", along, change)
        sound = length > 0.1 * np.einsum("fi,fi->f", moved, moved)
        factor = np.divide(1.0, length, out=np.zeros_like(length), where=sound)
        self.inverses = self.inverses + (moved - predicted)[:, :, None] * (along * factor[:, None])[:, None, :]


def fit_logit(frame: Frame, treated: Vector) -> Logit:
    """The logit of the frame's 0/1 variable `t` on the variables `x`, to a mean gradient of 1e-12.

    Args:
        frame: the variables.
        treated: (n,) the 0/1 values of `t`.

    Raises:
        UnusableData: the variables tell the two arms apart without error.
    """
    k = frame.at["x"].stop
    z = frame.matrix[:k]
    start, step = _discriminant(frame), frame.n // _START_ROWS
    inverse = None
    if step >= 4:
        start, inverse = _strided(frame, treated, step, start)
    coefficients, probabilities, _ = _fit(frame.rows, z, treated, frame.weights, start, _GRADIENT, inverse)
    if float(np.abs(treated - probabilities).max()) < _SEPARATED:
        raise UnusableData(
            "The covariates of the treatment model tell treated from untreated rows without error, so that no row has "
            "a counterpart; leave out the ones that follow from the treatment."
        )
    return Logit(frame=frame, coefficients=coefficients, probabilities=probabilities)


def _fit(
    rows: Rows,
    z: Matrix,
    treated: Vector,
    weights: Vector | None,
    start: Vector,
    enough: float,
    inverse: Matrix | None = None,
) -> tuple[Vector, Vector, Matrix]:
    """(k,) the coefficients that maximise the likelihood, the (n,) probabilities by them, and the last inverse used.

    An inverse information that is about right may be given, for the steps to improve on.
    """
    probabilities = np.empty(rows.n)

    def of(s: slice) -> Vector | None:
        return None if weights is None else weights[s]

    def gradients() -> Matrix:
        def work(s: slice) -> Partial:
            block = z[:, s]
            p = probabilities[s]
            expit(np.matmul(climb.coefficients[0], block, out=p))
            return gradient_partial(block, treated[s], of(s), p)

        (gradient,) = rows.total(work)
        return gradient[None]

    def inverses() -> NDArray[np.float64]:
        (information,) = rows.total(lambda s: information_partial(z[:, s], of(s), probabilities[s]))
        return _inverse(information)[None]

    if inverse is None:
        rows.each(lambda s: expit(np.matmul(start, z[:, s], out=probabilities[s])))
    climb = _Climb(start[None], inverses() if inverse is None else inverse[None])
    if not climb.run(gradients, inverses, enough * rows.n):
        raise UnusableData(
            "The logit of the treatment does not converge: some covariates predict the treatment almost without error; "
            "leave them out."
        )
    return climb.coefficients[0], probabilities, climb.inverses[0]


def _discriminant(frame: Frame) -> Vector:
    """(k,) what the logit would be were the variables normal within each arm: near it for most data, and free."""
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
    return coefficients if np.abs(coefficients).max() < _LONGEST_STEP else np.zeros(k)


def _strided(frame: Frame, treated: Vector, step: int, start: Vector) -> tuple[Vector, Matrix | None]:
    """The fit on a stride of the rows, from which the whole needs few passes, with its inverse information for the
    whole; where it began and none if the stride has no fit.
    """
    z = np.array(frame.matrix[: len(start), ::step], order="C")
    weights = None if frame.weights is None else np.array(frame.weights[::step])
    rows = Rows(n=z.shape[1], block=frame.rows.block, threads=1)
    try:
        coefficients, _, inverse = _fit(rows, z, np.array(treated[::step]), weights, start, 1e-6)
    except UnusableData:
        return start, None
    return coefficients, inverse * (rows.n / frame.n)


def cross_fit_logit(fit: Logit, treated: Vector, folds: NDArray[np.integer], n_folds: int) -> Vector:
    """(n,) the probability of each row from the logit fitted without its fold, to a mean gradient of 1e-10.

    One pass gives every fold's share of gradient and information at the whole fit, so that the first Newton step of all
    fits costs one; each of the passes after it serves all fits.

    Raises:
        UnusableData: without one of the folds the covariates predict the treatment without error.
    """
    work = _WithoutFolds(fit, treated, folds, n_folds)
    if not work.climb.run(work.gradients, work.inverses, _FOLD_GRADIENT * fit.frame.n):
        raise UnusableData(
            "Without one of the folds the logit of the treatment does not converge; use fewer covariates or folds."
        )
    return work.probabilities


class _WithoutFolds:
    """The logits without each fold."""

    def __init__(self, fit: Logit, treated: Vector, folds: NDArray[np.integer], n_folds: int) -> None:
        self.frame, self.treated, self.folds, self.n_folds = fit.frame, treated, folds, n_folds
        self.k = fit.frame.at["x"].stop
        self.probabilities = np.empty(fit.frame.n)
        gradient, information = self._shares(fit)
        rest = information.sum(axis=0) - information
        self.used = np.zeros((n_folds, self.k), dtype=np.bool_)
        for fold in range(n_folds):
            self.used[fold, independent(rest[fold])] = True
        self.climb = _Climb(np.where(self.used, fit.coefficients, 0.0), self._inverted(rest))
        whole = self.used.all(axis=1, keepdims=True)
        self.climb.step(np.where(whole, gradient.sum(axis=0) - gradient, 0.0))

    def _shares(self, fit: Logit) -> tuple[Matrix, NDArray[np.float64]]:
        """(folds, k) gradients and (folds, k, k) information of each fold's rows at the whole fit."""
        frame = self.frame

        def work(s: slice) -> Partial:
            z, p, folds = frame.matrix[: self.k, s], fit.probabilities[s], self.folds[s]
            weights = None if frame.weights is None else frame.weights[s]
            residual = self.treated[s] - p if weights is None else (self.treated[s] - p) * weights
            by_fold = np.zeros((self.n_folds, len(p)))
            by_fold[folds, np.arange(len(p))] = residual
            information, _ = grouped_gram_partial(z, _curvature(p, weights), folds, self.n_folds)
            return by_fold @ z.T, information

        gradient, information = frame.rows.total(work)
        return gradient, information

    def gradients(self) -> Matrix:
        """(folds, k) gradient of each fit; keeps each row's probability without its fold."""
        frame, coefficients = self.frame, self.climb.coefficients

        def work(s: slice) -> Partial:
            z, folds = frame.matrix[: self.k, s], self.folds[s]
            p = expit(np.matmul(coefficients, z, out=scratch("eta", self.n_folds, len(folds))))
            own = folds * np.int64(len(folds)) + np.arange(len(folds))
            self.probabilities[s] = p.ravel()[own]
            residual = np.subtract(self.treated[s], p, out=p)
            if frame.weights is not None:
                residual *= frame.weights[s]
            residual.ravel()[own] = 0.0
            return (residual @ z.T,)

        (gradients,) = frame.rows.total(work)
        return gradients

    def inverses(self) -> NDArray[np.float64]:
        """(folds, k, k) inverse information of each fit at its present coefficients."""
        frame, coefficients = self.frame, self.climb.coefficients

        def work(s: slice) -> Partial:
            z, folds = frame.matrix[: self.k, s], self.folds[s]
            curvature = _curvature(expit(coefficients @ z), None if frame.weights is None else frame.weights[s])
            curvature[folds, np.arange(len(folds))] = 0.0
            return (np.stack([gram_partial(z, each)[0] for each in curvature]),)

        (information,) = frame.rows.total(work)
        return self._inverted(information)

    def _inverted(self, information: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverses on the variables that each fit uses, 0 elsewhere."""
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
