"""Broyden's quasi-Newton method for several concave likelihoods at once, where a pass over the rows gives gradients.

The information is computed once at the start; each step then updates it from the last one (Broyden), so that a pass
over the rows needs gradients only. Where convergence is slow the information is computed again, which is Newton's
method. A step that overshoots the maximum of its line is shortened, so that every fit with a maximum converges. The
stopping rule is on the gradient, not on the step.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector

__all__ = ["ITERATIONS", "LONGEST_STEP", "QuasiNewton", "reach"]

ITERATIONS = 100
LONGEST_STEP = 8.0
"""Maximum root mean square change of the linear combination in one step."""

_SLOW = 0.25
_BEYOND = 0.5
"""A step is shortened if the slope at its end is below minus this share of the slope at its start."""

_NEAREST = 0.1


class _Steps:
    """The line search of each fit: where its last step began, and how far it goes.

    The likelihood is concave, so that its slope along the line decreases: the maximum is between the furthest point
    with a positive slope and the nearest with a negative one.

    Attributes:
        gradients: (f, k) where the steps began.
    """

    def __init__(self, begin: Matrix, line: Matrix, gradients: Matrix) -> None:
        self.gradients = gradients
        self._begin, self._line = begin, line
        self._share = np.ones(len(line))
        self._rises, self._falls = np.zeros(len(line)), np.full(len(line), np.inf)

    def moved(self) -> Matrix:
        """(f, k) the steps."""
        return self._share[:, None] * self._line

    def end(self) -> Matrix:
        """Return (f, k) the end points."""
        return self._begin + self.moved()

    def too_far(self, gradients: Matrix) -> NDArray[np.bool_]:
        """Return (f,) whether a step overshot the maximum of its line or, having been shortened, stays far below it.

        Where it did, the next step length is set; `restart` uses it.
        """
        first, now = ((self._line * each).sum(axis=1) for each in (self.gradients, gradients))
        beyond = now < -_BEYOND * first
        below = np.isfinite(self._falls) & (now > _BEYOND * first)
        self._falls = np.where(beyond, self._share, self._falls)
        self._rises = np.where(below, self._share, self._rises)
        # Interpolate between the two slopes while only one end has a positive one; then bisect, which always converges.
        secant = np.clip(first / np.where(beyond, first - now, 1.0), _NEAREST, 1.0) * self._share
        halfway = (self._rises + np.where(np.isfinite(self._falls), self._falls, self._rises)) / 2
        self._next = np.where(beyond & (self._rises == 0.0), secant, halfway)
        return beyond | below

    def restart(self, which: NDArray[np.bool_], begin: Matrix, line: Matrix, gradients: Matrix) -> None:
        """Replace the steps of some fits; the others continue with the best known step length."""
        new = which[:, None]
        self.gradients = np.where(new, gradients, self.gradients)
        self._begin, self._line = np.where(new, begin, self._begin), np.where(new, line, self._line)
        self._share = np.where(which, 1.0, self._next)
        self._rises, self._falls = np.where(which, 0.0, self._rises), np.where(which, np.inf, self._falls)


class QuasiNewton:
    """Simultaneous fits on the same variables.

    Attributes:
        coefficients: (f, k) of the fits.
        inverses: (f, k, k) approximate inverse information of each.
    """

    def __init__(self, coefficients: Matrix, inverses: NDArray[np.float64], products: Matrix) -> None:
        """Start at these coefficients.

        Args:
            coefficients: (f, k) starting values.
            inverses: (f, k, k) approximate inverse information there.
            products: (k, k) cross-products of the variables up to a factor, the first of which is 1 in every row.
        """
        self.coefficients, self.inverses, self._products = coefficients, inverses, products
        self._steps: _Steps | None = None

    def run(
        self,
        gradients: Callable[[], Matrix],
        inverses: Callable[[], NDArray[np.float64]],
        enough: float | Vector,
        first: Matrix | None = None,
    ) -> bool:
        """Iterate until no gradient exceeds `enough`; return False if that does not happen.

        Args:
            gradients: returns the (f, k) gradients at the coefficients.
            inverses: returns the (f, k, k) inverse information at the coefficients.
            enough: the tolerance on every gradient, or (f,) those of the fits.
            first: the gradients at the starting values, if known.
        """
        before = np.full(len(self.coefficients), np.inf)
        for number in range(ITERATIONS):
            found = gradients() if first is None or number else first
            size = np.abs(found).max(axis=1)
            if (size <= enough).all():
                return True
            slow = size > np.maximum(_SLOW * before, enough)
            if not slow.any() or self._steps is None:
                self._learn(found)
                self.step(found)
                before = size
                continue
            arrived = ~(self._steps.too_far(found) & slow)
            self._learn(found, arrived)
            if (slow & arrived).any():
                self.inverses = np.where((slow & arrived)[:, None, None], inverses(), self.inverses)
            self.step(found, arrived)
            before = np.where(arrived, size, before)
        return False

    def step(self, gradients: Matrix, moving: NDArray[np.bool_] | None = None) -> None:
        """Move the fits by their inverse information, by a shorter step where the likelihood is nearly flat.

        Args:
            gradients: (f, k) at the current coefficients.
            moving: (f,) which fits move on; the others repeat their last step with a shorter length. All if absent.
        """
        steps = _times(self.inverses, gradients)
        rising = (steps * gradients).sum(axis=1)
        if not (rising > 0.0).all():
            # A nearly singular information may give a direction that is not an ascent.
            steep = np.abs(self.inverses.diagonal(axis1=1, axis2=2)) * gradients
            steps = np.where(rising[:, None] > 0.0, steps, steep)
        steps *= np.minimum(1.0, LONGEST_STEP / np.maximum(reach(steps, self._products), 1e-300))[:, None]
        if moving is None or self._steps is None:
            self._steps = _Steps(self.coefficients, steps, gradients)
        else:
            self._steps.restart(moving, self.coefficients, steps, gradients)
        self.coefficients = self._steps.end()

    def information(self, fit: int = 0) -> Matrix:
        """Return (k, k) the information implied by the updates of one fit."""
        try:
            learnt = np.linalg.inv(self.inverses[fit])
        except np.linalg.LinAlgError:
            learnt = np.linalg.pinv(self.inverses[fit])
        return np.asarray((learnt + learnt.T) / 2)

    def _learn(self, gradients: Matrix, arrived: NDArray[np.bool_] | None = None) -> None:
        if self._steps is None:
            return
        moved, change = self._steps.moved(), self._steps.gradients - gradients
        predicted = _times(self.inverses, change)
        along = _times(self.inverses.transpose(0, 2, 1), moved)
        length = (along * change).sum(axis=1)
        sound = length > 0.1 * (moved * moved).sum(axis=1)
        if arrived is not None:
            sound &= arrived
        factor = np.divide(1.0, length, out=np.zeros_like(length), where=sound)
        self.inverses = self.inverses + (moved - predicted)[:, :, None] * (along * factor[:, None])[:, None, :]


def reach(coefficients: Matrix, products: Matrix) -> Vector:
    """Return (f,) root mean squares of (f, k) linear combinations of variables with these cross-products, the first of
    which is 1."""
    return np.asarray(np.sqrt(((coefficients @ products) * coefficients).sum(axis=1).clip(0.0) / products[0, 0]))


def _times(matrices: NDArray[np.float64], vectors: Matrix) -> Matrix:
    """Return (f, k) products of (f, k, k) with (f, k)."""
    return np.asarray(np.matmul(matrices, vectors[:, :, None])[:, :, 0])
