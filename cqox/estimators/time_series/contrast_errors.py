"""Standard errors of contrasts of a series: those that hold under serial correlation, and the widest of them.

Two are justified without knowing the errors: an autoregression with one variance, and one with a variance of its own in
each segment. The interval is the wider one, so that it covers where the variance changes at the intervention.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.inference.segment_errors import SegmentErrors, segment_errors
from cqox.estimators.inference.serial_correlation import Autoregression, automatic_lag, autoregression, newey_west
from cqox.estimators.numerics.quantiles import critical_value

__all__ = ["ContrastError", "SeriesErrors", "series_errors"]


_BY_SEGMENT = ", by segment"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastError:
    """A standard error of a contrast, its degrees of freedom, and its name."""

    standard_error: float
    degrees: float
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesErrors:
    """The errors behind the residuals of a regression on two segments.

    Attributes:
        residuals: (periods,) in time order.
        parameters: number of coefficients.
        autoregressive: the errors with one variance.
        by_segment: the errors with a variance of their own in each segment; None where one is fitted exactly.
        lags: of the Newey-West standard error.
    """

    residuals: Vector
    parameters: int
    autoregressive: Autoregression
    by_segment: SegmentErrors | None
    lags: int

    @property
    def ratio(self) -> float | None:
        """Standard deviation of the errors after the intervention over that before."""
        if self.by_segment is None:
            return None
        before, after = self.by_segment.scales
        return after / before

    def widest(self, weights: Vector, alpha: float) -> ContrastError:
        """Return the standard error with the widest interval at level 1 - alpha, for (periods,) weights."""
        return max(
            self.justified(weights), key=lambda error: critical_value(alpha, error.degrees) * error.standard_error
        )

    def justified(self, weights: Vector) -> list[ContrastError]:
        """Return the standard errors that allow for serial correlation."""
        one = self.autoregressive
        found = [
            ContrastError(
                standard_error=float(np.sqrt(max(one.variance(weights), 0.0))),
                degrees=one.degrees,
                method=_method(one),
            )
        ]
        if self.by_segment is not None:
            variance, degrees = self.by_segment.variance(weights)
            found.append(
                ContrastError(
                    standard_error=float(np.sqrt(max(variance, 0.0))),
                    degrees=degrees,
                    method=_method(self.by_segment.correlated) + _BY_SEGMENT,
                )
            )
        return found

    def alternates(self, weights: Vector) -> Mapping[str, float]:
        """Return other standard errors by name, for (periods,) weights in units of the residuals."""
        contributions, periods = weights * self.residuals, len(self.residuals)
        squares = float(self.residuals @ self.residuals)
        variances = {
            f"Newey-West ({self.lags} lags)": newey_west(contributions, self.lags, self.parameters),
            "HC1": newey_west(contributions, 0, self.parameters),
            "iid": squares / (periods - self.parameters) * float(weights @ weights),
        }
        found = {error.method: error.standard_error for error in self.justified(weights)}
        return found | {name: float(np.sqrt(max(value, 0.0))) for name, value in variances.items()}


def _method(errors: Autoregression) -> str:
    return f"autoregressive errors, AR({len(errors.coefficients)}), bias-corrected"


def series_errors(residuals: Vector, basis: Matrix, before: int) -> SeriesErrors | None:
    """Return the errors behind the residuals of a regression; None where the fit is exact.

    Args:
        residuals: (periods,) in time order.
        basis: (periods, k) an orthonormal basis of the regressors.
        before: number of periods of the first segment.
    """
    if float(residuals @ residuals) <= 1e-20 * len(residuals):
        return None
    return SeriesErrors(
        residuals=residuals,
        parameters=basis.shape[1],
        autoregressive=autoregression(residuals, basis),
        by_segment=segment_errors(residuals, basis, before),
        lags=automatic_lag(len(residuals)),
    )
