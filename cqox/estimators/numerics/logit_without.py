"""Leave-one-fold-out logits without one of the variables, for several variables at once.

There are as many fits as folds times variables, of few rows: one after the other, each costs more in calls than in
arithmetic. Here every pass over the rows serves all of them. An omitted variable keeps the coefficient 0.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.blocked_matmul import combined, cross
from cqox.estimators.numerics.logit import Logit, carried_over, expit, information_partial
from cqox.estimators.numerics.quasi_newton import QuasiNewton
from cqox.estimators.numerics.row_blocks import Partial
from cqox.estimators.numerics.scratch_memory import scratch

__all__ = ["cross_fit_without"]

_GRADIENT = 1e-12


def cross_fit_without(
    fit: Logit,
    treated: Vector,
    folds: NDArray[np.integer],
    products: NDArray[np.float64],
    omitted: Sequence[int],
) -> Matrix:
    """Return (omitted, n) the probability of each row from the logits without its fold and one of some variables.

    All start at the fit with all variables and rows, by one Newton step to where the omitted coefficient is 0, and
    end at a mean gradient of 1e-12.

    Args:
        fit: the logit on all rows.
        treated: (n,) the 0/1 values of `t`.
        folds: (n,) the fold of each row.
        products: (folds, k, k) cross-products of the variables within each fold; without any fold, they are linearly
            independent.
        omitted: positions of the variables to omit, each by itself; not that of the column of ones.

    Raises:
        UnusableData: a fit has no maximum.
    """
    work = _Omitting(fit, treated, folds, products, omitted)
    if not work.solver.run(work.gradients, work.inverses, _GRADIENT * fit.frame.n):
        raise UnusableData(Message("numerics.logit-diverges-without-fold"))
    return work.probabilities


class _Omitting:
    """The fits, by omitted variable and then by fold.

    Attributes:
        solver: the fits.
        probabilities: (omitted, n) of each row, without its fold.
    """

    def __init__(
        self,
        fit: Logit,
        treated: Vector,
        folds: NDArray[np.integer],
        products: NDArray[np.float64],
        omitted: Sequence[int],
    ) -> None:
        self.frame, self.treated, self.folds = fit.frame, treated, folds
        self.n_folds, self.k, _ = products.shape
        self.probabilities = np.empty((len(omitted), fit.frame.n))
        self.out = np.repeat(np.asarray(omitted, dtype=np.intp), self.n_folds)
        self.fits = np.arange(len(self.out))
        whole = products.sum(axis=0)
        self.solver = QuasiNewton(np.tile(fit.coefficients, (len(self.out), 1)), np.empty((0, 0, 0)), whole)
        information = np.tile(carried_over(fit.nearly, whole, whole - products), (len(omitted), 1, 1))
        gradients = self.gradients()
        gradients += information[self.fits, self.out] * fit.coefficients[self.out, None]
        self.solver.inverses = self._inverted(information)
        self.solver.coefficients[self.fits, self.out] = 0.0
        self.solver.step(self._used(gradients))

    def gradients(self) -> Matrix:
        """Return the (fits, k) gradient of each fit; store each row's probability without its fold."""
        frame, coefficients = self.frame, self.solver.coefficients
        by_variable = len(self.probabilities), -1

        def work(s: slice) -> Partial:
            z, folds = frame.matrix[: self.k, s], self.folds[s]
            p = expit(combined(coefficients, z, scratch("eta", len(coefficients), len(folds))))
            own = folds * np.int64(len(folds)) + np.arange(len(folds))
            self.probabilities[:, s] = p.reshape(by_variable)[:, own]
            residual = np.subtract(self.treated[s], p, out=p)
            if frame.weights is not None:
                residual *= frame.weights[s]
            residual.reshape(by_variable)[:, own] = 0.0
            return (cross(residual, z),)

        (gradients,) = frame.rows.total(work)
        return self._used(gradients)

    def inverses(self) -> NDArray[np.float64]:
        """Return the (fits, k, k) inverse information of each fit at its current coefficients."""
        frame, coefficients = self.frame, self.solver.coefficients

        def work(s: slice) -> Partial:
            z, folds = frame.matrix[: self.k, s], self.folds[s]
            weights = None if frame.weights is None else frame.weights[s]
            p = expit(coefficients @ z)
            # A certain treatment has no information.
            p.reshape(len(self.probabilities), self.n_folds, -1)[:, folds, np.arange(len(folds))] = 0.0
            return (np.stack([information_partial(z, weights, each)[0] for each in p]),)

        (information,) = frame.rows.total(work)
        return self._inverted(information)

    def _used(self, gradients: Matrix) -> Matrix:
        """Return the gradients, which are overwritten, with 0 for the omitted variables."""
        gradients[self.fits, self.out] = 0.0
        return gradients

    def _inverted(self, information: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the inverses of information, which is overwritten, on the variables of each fit, 0 elsewhere."""
        fits, out = self.fits, self.out
        information[fits, out] = information[fits, :, out] = 0.0
        information[fits, out, out] = 1.0
        try:
            inverses = np.linalg.inv(information)
        except np.linalg.LinAlgError:
            inverses = np.linalg.pinv(information, hermitian=True)
        inverses[fits, out, out] = 0.0
        return np.asarray(inverses)
