"""Propensity scores as expressions: a logit fitted by passes over the rows, on all of them and without each fold."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.by_moments.summed import ONE, Complete, SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.nuisance.orthogonal_scores import CLIP
from cqox.estimators.numerics.gram import independent_each
from cqox.estimators.numerics.logit import carried_over, discriminant
from cqox.estimators.numerics.moments import Constant, Exp, Expr, Is, Moments, Quotient, case, linear, times
from cqox.estimators.numerics.quasi_newton import ITERATIONS, LONGEST_STEP, QuasiNewton, reach

__all__ = ["Scores", "clipped", "correction", "fitted_logit", "out_of_fold", "propensity"]

_GRADIENT = 1e-12
_FOLD_GRADIENT = 1e-12
_SEPARATED = 1e-4
_EXTREME = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The propensity score of each row.

    Attributes:
        e: the probability of treatment.
        known: True if it was given rather than fitted.
        frame: the columns of its rows.
        coefficients: (k,) of the logit, standardised; empty where it was given.
        inverse: (k, k) inverse information of the fit.
        gradients: (folds, k) of each fold's rows in the first split, at the fit.
        nearly: (k, k) the approximate information at the fit, where single rows may have hardly any.
        notes: preprocessing of the columns.
        warnings: caveats about overlap.
    """

    e: Expr
    known: bool
    frame: SummedFrame
    coefficients: Vector
    inverse: Matrix
    gradients: Matrix
    nearly: Matrix
    notes: tuple[Message, ...] = ()
    warnings: tuple[Message, ...] = ()


def logistic(line: Expr) -> Expr:
    """Return 1 / (1 + exp(-line))."""
    return Quotient(ONE, linear([(1.0, Exp(linear([(-1.0, line)])))], 1.0))


def propensity(tables: Tables, rows: Complete) -> Scores:
    """Return the propensity scores of some rows: the given ones, else those of a logit.

    Raises:
        UnusableData: the covariates separate the arms, or given probabilities are 0 or 1.
    """
    return tables.once(("propensity", rows.known), lambda: _propensity(tables, rows))


def _propensity(tables: Tables, rows: Complete) -> Scores:
    encoded = tables.encoded
    if encoded.pscore is not None:
        _check_given(rows.source, encoded.pscore)
        frame = tables.frame("ty", rows)
        none = np.empty((0, 0))
        return Scores(
            e=encoded.pscore, known=True, frame=frame, coefficients=np.empty(0), inverse=none, gradients=none,
            nearly=none,
        )  # fmt: skip
    same = encoded.propensity_covariates == encoded.covariates
    frame = tables.frame("xty" if same else "wty", rows)
    return _Logit(tables, frame).fitted()


def _check_given(source: Moments, e: Expr) -> None:
    outside = int(source.sums([Is(e, "<=", 0.0), Is(e, ">=", 1.0)]).sums.sum())
    if outside:
        raise UnusableData(Message("nuisance.given-outside", rows=outside))


def fitted_logit(tables: Tables, frame: SummedFrame, response: Expr, event: Message) -> Scores:
    """Return the probabilities of a response, the column `t` of a frame, from a logit on the columns `x`.

    Raises:
        UnusableData: the covariates separate the values of the response.
    """
    return _Logit(tables, frame, response, event).fitted()


class _Logit:
    """The logit of the treatment, or another response `t`, on the columns `x` of a frame."""

    def __init__(
        self, tables: Tables, frame: SummedFrame, response: Expr | None = None, event: Message | None = None
    ) -> None:
        self.tables, self.frame = tables, frame
        self.response = tables.treated() if response is None else response
        self.event = Message("nuisance.treatment") if event is None else event
        self.sampled = response is None
        self.k = frame.at["x"].stop
        self.z = frame.columns[: self.k]
        self.pairs = list(combinations_with_replacement(range(self.k), 2))
        self.source = frame.rows.source

    def fitted(self) -> Scores:
        """Return the scores, to a mean gradient of 1e-12."""
        products, n = self.frame.products[: self.k, : self.k], self.frame.n
        start, nearly = self._start()
        solver = QuasiNewton(start[None], _inverse(nearly)[None], products)
        if not solver.run(
            lambda: self._gradient(solver.coefficients[0])[None],
            lambda: _inverse(self._information(solver.coefficients[0]))[None],
            _GRADIENT * n,
        ):
            raise UnusableData(Message("numerics.logit-diverges", steps=ITERATIONS))
        return self._closed(solver.coefficients[0], solver.information())

    def _closed(self, coefficients: Vector, nearly: Matrix) -> Scores:
        """Return the scores with the exact information, the gradients by fold, and what is said of extreme ones."""
        e, miss = self.miss(coefficients)
        off = linear([(1.0, self.response), (-1.0, e)])
        extreme = (Is(e, "<", _EXTREME), Is(e, ">", 1 - _EXTREME))
        apart = (Is(off, ">=", _SEPARATED), Is(off, "<=", -_SEPARATED))
        curvature = times(self.frame.weight, e, linear([(-1.0, e)], 1.0))
        values = [*extreme, *apart, *(_product(miss, each) for each in self.z), *self.squares(curvature)]
        folds = self.tables.settings.folds if self.tables.encoded.row_key is not None else 1
        by_fold = np.zeros((folds, len(values)))
        found = self.source.grouped(values, [self.tables.fold()] if folds > 1 else [])
        place = found[:, 0].astype(np.intp) if folds > 1 else np.zeros(1, dtype=np.intp)
        by_fold[place] = found[:, -len(values) :]
        low, high, over, under = by_fold[:, :4].sum(axis=0).tolist()
        if over + under == 0:
            raise UnusableData(Message("numerics.arms-separated"))
        warnings: tuple[Message, ...] = ()
        if low + high:
            event, rows = self.event, int(low + high)
            warnings = (Message("nuisance.extreme-probabilities", rows=rows, event=event, distance=_EXTREME),)
        information = self.filled(by_fold[:, 4 + self.k :].sum(axis=0))
        return Scores(
            e=e, known=False, frame=self.frame, coefficients=coefficients,
            inverse=_inverse(information), gradients=by_fold[:, 4 : 4 + self.k],
            nearly=nearly, notes=self.frame.notes, warnings=warnings,
        )  # fmt: skip

    def _start(self) -> tuple[Vector, Matrix]:
        """Return the coefficients of the sample's logit in the scales of this frame, and an approximate information,
        which the steps refine.
        """
        try:
            logit = self.tables.pilot.propensity(self.frame.rows.pilot).logit if self.sampled else None
        except UnusableData:
            logit = None
        products, t = self.frame.products[: self.k, : self.k], self.frame.column("t")
        if logit is not None and logit.frame.labels[: logit.frame.at["x"].stop] == self.frame.labels[: self.k]:
            # The sample's columns are linear in these: z_sample = moved @ z.
            own, k = logit.frame, self.k
            moved = np.diag(self.frame.scale[:k] / own.scale[:k])
            moved[1:, 0] = (self.frame.centre[1:k] - own.centre[1:k]) / own.scale[1:k]
            start = logit.coefficients @ moved
            if reach(start[None], products)[0] < LONGEST_STEP:
                return start, moved.T @ logit.nearly @ moved * (products[0, 0] / own.n)
        share = float(self.frame.centre[t] + self.frame.scale[t] * self.frame.products[0, t] / products[0, 0])
        return discriminant(self.frame), share * (1.0 - share) * products

    def miss(self, coefficients: Vector) -> tuple[Expr, Expr]:
        """Return the probabilities at some coefficients, and the weighted misses of the treatment."""
        e = logistic(self.frame.combined(coefficients))
        return e, times(self.frame.weight, linear([(1.0, self.response), (-1.0, e)]))

    def _gradient(self, coefficients: Vector) -> Vector:
        _, miss = self.miss(coefficients)
        return self.source.sums([_product(miss, each) for each in self.z]).sums

    def _information(self, coefficients: Vector) -> Matrix:
        e, _ = self.miss(coefficients)
        curvature = times(self.frame.weight, e, linear([(-1.0, e)], 1.0))
        return self.filled(self.source.sums(self.squares(curvature)).sums)

    def by_fold(self, coefficients: Vector, fold: Expr) -> Matrix:
        """Return the (folds, k) gradients of the rows of each fold."""
        _, miss = self.miss(coefficients)
        found = np.zeros((self.tables.settings.folds, self.k))
        by_fold = self.source.grouped([_product(miss, each) for each in self.z], [fold])
        found[by_fold[:, 0].astype(np.intp)] = by_fold[:, 2:]
        return found

    def squares(self, weight: Expr) -> list[Expr]:
        """Return the weighted products of the columns, to be summed for `filled`."""
        weighted = [_product(weight, each) for each in self.z]
        return [_product(weighted[first], self.z[second]) for first, second in self.pairs]

    def filled(self, sums: Vector) -> Matrix:
        """Return the (k, k) matrix of the sums of `squares`."""
        result = np.empty((self.k, self.k))
        for (first, second), value in zip(self.pairs, sums.tolist(), strict=True):
            result[first, second] = result[second, first] = value
        return result


def _product(left: Expr, right: Expr) -> Expr:
    return left if right == ONE else times(left, right)


def _inverse(information: Matrix) -> Matrix:
    try:
        inverse = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        inverse = np.linalg.pinv(information, hermitian=True)
    return np.asarray((inverse + inverse.T) / 2)


def _inverted(information: NDArray[np.float64], used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the inverses on the columns that each fit uses, 0 elsewhere."""
    result = np.zeros_like(information)
    for place, (each, own) in enumerate(zip(information, used, strict=True)):
        within = np.ix_(own, own)
        result[place][within] = _inverse(each[within])
    return result


def correction(tables: Tables, scores: Scores, slope: Vector, response: Expr | None = None) -> Expr:
    """Return each row's contribution to an estimate through the fitted logit, as `score_correction` does.

    Args:
        tables: the request's shared computations.
        scores: fitted ones.
        slope: (k,) the derivative of the estimate by the coefficients.
        response: of the logit; the treatment where None.
    """
    own = tables.treated() if response is None else response
    miss = times(scores.frame.weight, linear([(1.0, own), (-1.0, scores.e)]))
    return times(scores.frame.combined(scores.inverse @ slope), miss)


def out_of_fold(tables: Tables, scores: Scores, split: int) -> Expr:
    """Return each row's score: the given one, else that of the logit without the row's fold.

    Raises:
        UnusableData: without one of the folds the covariates separate the arms.
        NotByMoments: rows have no key to make folds by.
    """
    if scores.known:
        return scores.e
    key = ("out of fold", split, scores.frame.rows.known)
    return tables.once(key, lambda: _without_folds(tables, scores, split))


def _without_folds(tables: Tables, scores: Scores, split: int) -> Expr:
    frame, fold, folds = scores.frame, tables.fold(split), tables.settings.folds
    logit = _Logit(tables, frame)
    k, z = logit.k, logit.z
    own = tables.blocks(frame, split)[0].sum(axis=1)[:, :k, :k]
    whole = own.sum(axis=0)
    used = independent_each(whole - own)
    gradient = logit.by_fold(scores.coefficients, fold) if split else scores.gradients
    rest = carried_over(scores.nearly, whole, whole - own)
    solver = QuasiNewton(np.where(used, scores.coefficients, 0.0), _inverted(rest, used), whole)
    complete = used.all(axis=1, keepdims=True)
    solver.step(np.where(complete, gradient.sum(axis=0) - gradient, 0.0))
    others = [linear([(-1.0, Is(fold, "=", float(each)))], 1.0) for each in range(folds)]

    def each_miss() -> list[tuple[Expr, Expr]]:
        return [logit.miss(coefficients) for coefficients in solver.coefficients]

    def gradients() -> Matrix:
        left = [times(other, own_miss) for other, (_, own_miss) in zip(others, each_miss(), strict=True)]
        return logit.source.sums([_product(part, column) for part in left for column in z]).sums.reshape(folds, k)

    def inverses() -> NDArray[np.float64]:
        curvatures = [
            times(frame.weight, other, e, linear([(-1.0, e)], 1.0))
            for other, (e, _) in zip(others, each_miss(), strict=True)
        ]
        sums = logit.source.sums([square for each in curvatures for square in logit.squares(each)]).sums
        return _inverted(np.stack([logit.filled(row) for row in sums.reshape(folds, -1)]), used)

    if not solver.run(gradients, inverses, _FOLD_GRADIENT * frame.n):
        raise UnusableData(Message("numerics.logit-diverges-without-fold"))
    return case(fold, *(logistic(frame.combined(each)) for each in solver.coefficients))


def clipped(e: Expr) -> tuple[Expr, Sequence[Expr]]:
    """Return the probability kept away from 0 and 1, and values whose sums count the rows where it was moved."""
    low, high = Is(e, "<", CLIP), Is(e, ">", 1 - CLIP)
    return case(low, case(high, e, Constant(1 - CLIP)), Constant(CLIP)), (low, high)
