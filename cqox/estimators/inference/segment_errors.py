"""Errors of a series before and after an intervention: autoregressive, with a variance of their own in each segment.

An autoregression of the errors over their segment's standard deviation; a contrast's variance and its degrees of
freedom by Satterthwaite then follow from the segments' variances, as Welch's do for two means.
"""

from dataclasses import dataclass

import numpy as np

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.inference.serial_correlation import Autoregression, autoregression

__all__ = ["SegmentErrors", "segment_errors"]

_FEWEST_DEGREES, _FEWEST_LEFT = 2.0, 1.0
_LARGEST_SUM = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentErrors:
    """The errors of a series of two segments.

    Attributes:
        before: number of periods of the first segment.
        scales: standard deviations before and after, without serial correlation.
        left: residual degrees of freedom before and after.
        correlated: the autoregression of the errors over their scale.
    """

    before: int
    scales: tuple[float, float]
    left: tuple[float, float]
    correlated: Autoregression

    def variance(self, weights: Vector) -> tuple[float, float]:
        """Return the variance of Σ weights·errors, and its degrees of freedom.

        Args:
            weights: (periods,) in time order.
        """
        scaled = weights * np.repeat(self.scales, (self.before, len(weights) - self.before))
        first, second = scaled.copy(), scaled.copy()
        first[self.before :], second[: self.before] = 0.0, 0.0
        own = np.maximum([self.correlated.variance(first), self.correlated.variance(second)], 0.0)
        if not own.sum() > 0:
            return 0.0, _FEWEST_DEGREES
        share, left = own / own.sum(), np.asarray(self.left)
        total = float(np.clip(self.correlated.coefficients.sum(), 0.0, _LARGEST_SUM))
        of_coefficients = 4 * len(self.correlated.coefficients) * (1 + total) / ((1 - total) * left.sum())
        relative = of_coefficients + float(np.sum(2 * share**2 / left))
        return self.correlated.variance(scaled), float(np.clip(2 / relative, _FEWEST_DEGREES, left.sum()))


def segment_errors(residuals: Vector, basis: Matrix, before: int) -> SegmentErrors | None:
    """Return the errors behind a regression's residuals; None where a segment is fitted exactly.

    Args:
        residuals: (periods,) in time order.
        basis: (periods, k) an orthonormal basis of the regressors.
        before: number of periods of the first segment.
    """
    leverage, squares = np.square(basis).sum(axis=1), np.square(residuals)
    parts = (slice(0, before), slice(before, None))
    left = [float(len(leverage[part]) - leverage[part].sum()) for part in parts]
    sizes = [float(squares[part].sum()) for part in parts]
    if min(left) < _FEWEST_LEFT or min(sizes) <= 1e-12 * max(sizes):
        return None
    scales = [float(np.sqrt(size / each)) for size, each in zip(sizes, left, strict=True)]
    by_period = np.repeat(scales, (before, len(residuals) - before))
    scaled = np.linalg.qr(basis / by_period[:, None])[0]
    return SegmentErrors(
        before=before,
        scales=(scales[0], scales[1]),
        left=(left[0], left[1]),
        correlated=autoregression(residuals / by_period, scaled),
    )
