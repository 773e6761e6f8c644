"""Serial correlation of regression errors: its autoregressive estimate, and its effect on a standard error.

Newey and West's estimator with few lags is far too small for a contrast of trends: it omits most of the dependence, and
residuals are less dependent than errors. The autoregression here has the coefficients under which the expected
autocorrelation of the residuals equals the observed one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector

__all__ = [
    "Autoregression",
    "autocorrelations",
    "automatic_lag",
    "autoregression",
    "durbin_watson",
    "innovations",
    "ljung_box",
    "newey_west",
]

_MOST_LAGS = 4
_LONGEST = 600
"""With more periods than this, residuals are treated as errors."""

_NEAR_UNIT_ROOT = 0.97
_ROUNDS, _PRECISION = 20, 1e-6
_FEWEST_DEGREES = 2.0


def automatic_lag(periods: int) -> int:
    """Return Newey and West's (1994) rule of thumb, ⌊4(T/100)^(2/9)⌋."""
    return int(np.floor(4 * (periods / 100) ** (2 / 9)))


def newey_west(contributions: Vector, lags: int, parameters: int) -> float:
    """Return the Newey-West variance of a sum of contributions in time order: Bartlett weights, factor T/(T−K)."""
    periods = len(contributions)
    total = float(contributions @ contributions)
    for lag in range(1, min(lags, periods - 1) + 1):
        total += 2 * (1 - lag / (lags + 1)) * float(contributions[lag:] @ contributions[:-lag])
    return total * periods / (periods - parameters)


def durbin_watson(residuals: Vector) -> float:
    """Return the Durbin-Watson statistic: 2 without serial correlation, towards 0 with positive correlation."""
    return float(np.square(np.diff(residuals)).sum() / (residuals @ residuals))


def ljung_box(residuals: Vector, lags: int, fitted: int = 0) -> tuple[float, float]:
    """Return Ljung and Box's statistic of this many lags, and its p-value."""
    from scipy import special

    periods, size = len(residuals), float(residuals @ residuals)
    correlations = np.array([float(residuals[lag:] @ residuals[:-lag]) / size for lag in range(1, lags + 1)])
    statistic = float(periods * (periods + 2) * np.sum(correlations**2 / (periods - np.arange(1, lags + 1))))
    return statistic, float(special.chdtrc(max(lags - fitted, 1), statistic))


def innovations(residuals: Vector, order: int) -> Vector:
    """Return the (periods - order,) residuals of an autoregression fitted by the Yule-Walker equations."""
    raw = np.array([residuals[lag:] @ residuals[: len(residuals) - lag] for lag in range(order + 1)])
    coefficients = _yule_walker(raw[1:] / raw[0])
    filtered = residuals[order:].copy()
    for lag, coefficient in enumerate(coefficients, start=1):
        filtered -= coefficient * residuals[order - lag : len(residuals) - lag]
    return filtered


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoregression:
    """The autoregressive dependence of the errors.

    Attributes:
        coefficients: (order,) on the errors before.
        covariances: (periods,) autocovariances of the errors by lag.
        degrees: of freedom of a standard error from these covariances, which are themselves estimates.
        effective: effective number of independent periods for the mean.
    """

    coefficients: Vector
    covariances: Vector
    degrees: float
    effective: float

    def variance(self, weights: Vector) -> float:
        """Return the variance of Σ weights·errors, (periods,) weights in time order."""
        # The sums of products at each lag are a convolution.
        size = 2 * len(weights)
        spectrum = np.abs(np.fft.rfft(weights, size)) ** 2
        products = np.fft.irfft(spectrum, size)[: len(weights)]
        return float(self.covariances[0] * products[0] + 2 * (self.covariances[1:] @ products[1:]))

    def covariance(self, weights: Matrix) -> Matrix:
        """Return the (m, m) covariance of Σ weights·errors for several rows of (m, periods) weights."""
        from scipy import linalg

        return np.asarray(weights @ linalg.matmul_toeplitz(self.covariances, weights.T))


def autoregression(residuals: Vector, basis: Matrix) -> Autoregression:
    """Return the serial dependence of the errors behind a regression's residuals.

    Args:
        residuals: (periods,) in time order, not all 0.
        basis: (periods, k) an orthonormal basis of the regressors.
    """
    periods = len(residuals)
    most = max(min(_MOST_LAGS, periods // 8), 1)
    raw = np.array([residuals[lag:] @ residuals[: periods - lag] for lag in range(most + 1)])
    seen = raw / raw[0]
    order = _order(seen, periods)
    wanted, current = seen[1 : order + 1], seen[1 : order + 1]
    for _ in range(_ROUNDS):
        coefficients, current = _stationary(current)
        correlations = autocorrelations(coefficients, periods)
        expected, share = _expected(correlations, basis, order)
        step = wanted - expected
        if periods > _LONGEST or float(np.abs(step).max()) < _PRECISION:
            break
        current = current + step
    covariances = raw[0] / share * correlations
    inflation = max(1 + 2 * float(np.sum(correlations[1:] * (1 - np.arange(1, periods) / periods))), 1.0)
    return Autoregression(
        coefficients=coefficients,
        covariances=covariances,
        degrees=_degrees(coefficients, periods, basis.shape[1]),
        effective=periods / inflation,
    )


def _order(seen: Vector, periods: int) -> int:
    """Return the order, from 1 on, with the smallest Bayesian information criterion."""
    values = []
    for order in range(1, len(seen)):
        rest = 1 - float(_yule_walker(seen[1 : order + 1]) @ seen[1 : order + 1])
        values.append(periods * np.log(max(rest, 1e-12)) + order * np.log(periods))
    return int(np.argmin(values)) + 1


def _yule_walker(correlations: Vector) -> Vector:
    order = len(correlations)
    distances = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
    return np.asarray(np.linalg.solve(np.concatenate([[1.0], correlations])[distances], correlations))


def _stationary(correlations: Vector) -> tuple[Vector, Vector]:
    """Return the autoregression of these correlations, shrunk towards 0 until it has no unit root."""
    for _ in range(200):
        try:
            coefficients = _yule_walker(correlations)
        except np.linalg.LinAlgError:
            correlations = 0.97 * correlations
            continue
        roots = np.roots(np.concatenate([[1.0], -coefficients]))
        if np.abs(roots).max(initial=0.0) < _NEAR_UNIT_ROOT:
            break
        correlations = 0.97 * correlations
    return coefficients, correlations


def autocorrelations(coefficients: Vector, periods: int) -> Vector:
    """Return (periods,) autocorrelations of an autoregression, from its impulse responses."""
    from scipy import signal

    length = periods + 400
    shock = np.zeros(length)
    shock[0] = 1.0
    response = signal.lfilter([1.0], np.concatenate([[1.0], -coefficients]), shock)
    size = 2 * length
    products = np.fft.irfft(np.abs(np.fft.rfft(response, size)) ** 2, size)[:periods]
    return np.asarray(products / products[0])


def _expected(correlations: Vector, basis: Matrix, order: int) -> tuple[Vector, float]:
    """Return the expected autocorrelations of residuals given those of errors, and their variance relative to the
    errors'.
    """
    periods = len(basis)
    if periods > _LONGEST:
        return correlations[1 : order + 1], float(periods - basis.shape[1])
    distances: NDArray[np.intp] = np.abs(np.subtract.outer(np.arange(periods), np.arange(periods)))
    errors = correlations[distances]
    reach = basis.T @ errors
    residuals = errors - basis @ reach - reach.T @ basis.T + basis @ (reach @ basis) @ basis.T
    squares = float(np.trace(residuals))
    return np.array([np.trace(residuals, lag) for lag in range(1, order + 1)]) / squares, squares


def _degrees(coefficients: Vector, periods: int, parameters: int) -> float:
    """Return Satterthwaite's degrees of freedom of a variance proportional to 1/(1−s)², s the coefficients' sum.

    The sampling variance of the coefficients is that of as many errors as the regression has residual degrees of
    freedom.
    """
    total, left = float(np.clip(coefficients.sum(), 0.0, 0.95)), periods - parameters
    relative = 4 * len(coefficients) * (1 + total) / ((1 - total) * left) + 2 / left
    return float(max(min(2 / relative, left), _FEWEST_DEGREES))
