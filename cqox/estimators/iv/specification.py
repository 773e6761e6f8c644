"""Specification of an instrumental variables estimate: Anderson-Rubin sets, and tests of its assumptions."""

import math

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Settings, Vector
from cqox.estimators.estimate import Json
from cqox.estimators.inference.anderson_rubin import ConfidenceSet, Moments, confidence_set
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.inference.error_choice import Grouped
from cqox.estimators.inference.make_estimate import finite
from cqox.estimators.inference.standard_errors import Linear, Uncertainty, regression_se
from cqox.estimators.iv.moments import MomentVariances, Partialled, RowPass
from cqox.estimators.numerics.quantiles import chi_square_survival, f_survival, noncentral_quantile, two_sided

__all__ = ["NO_JACKKNIFE", "anderson_rubin", "endogeneity", "overidentification", "strength", "tested"]

NO_JACKKNIFE = Message("iv.no-jackknife-of-a-test")
"""Clause that explains the missing jackknife of the test of endogeneity."""

_WEAK = 10.0
_NOTHING_LEFT = 1e-12
"""Residual share of the treatment, net of covariates, below which the instruments explain all of it."""


def anderson_rubin(
    parts: Partialled, rows: MomentVariances, n: int, others: int, clusters: Grouped, alpha: float, scale: float
) -> tuple[dict[str, Json], list[Message]]:
    """Return the homoskedastic and the robust set, each with the p-value of no effect, and warnings on the robust one.

    Args:
        parts: the cross-products.
        rows: the variances of the moments.
        n: number of rows.
        others: number of coefficients other than those of the instruments.
        clusters: groups of rows whose errors may be correlated.
        alpha: one minus the level of the sets.
        scale: units of the outcome per unit of the treatment.
    """
    m = len(parts.z_t)
    degrees = float(n - others - m)
    one = np.eye(m)
    plain = Moments(
        y=parts.z_y, t=parts.z_t,
        yy=one * float(parts.yy - parts.z_y @ parts.z_y) / degrees,
        yt=one * float(parts.ty - parts.z_t @ parts.z_y) / degrees,
        tt=one * float(parts.tt - parts.z_t @ parts.z_t) / degrees,
        degrees=degrees,
    )  # fmt: skip
    factor = (n - 1) / degrees if clusters.codes else n / degrees
    robust = Moments(
        y=parts.z_y, t=parts.z_t, yy=rows.yy * factor, yt=rows.yt * factor, tt=rows.tt * factor,
        degrees=float(max(clusters.fewest - 1, 1)) if clusters.codes else degrees,
    )  # fmt: skip
    name = "HC1" if not clusters.codes else "CRV1" if len(clusters.codes) == 1 else "CRV1 by the first cluster"
    found: dict[str, Json] = {}
    for key, moments, variance in (("homoskedastic", plain, "homoskedastic"), ("robust", robust, name)):
        region = confidence_set(moments, alpha, variance)
        p_value = f_survival(moments.statistic(0.0), m, moments.degrees)
        found[f"anderson_rubin_{key}"] = {**region.scaled(scale).json(), "p_value_no_effect": p_value}
    return found, _oddities(region)


def _oddities(robust: ConfidenceSet) -> list[Message]:
    if not robust.pieces:
        return [Message("iv.robust-set-empty")]
    if not robust.bounded:
        return [Message("iv.robust-set-unbounded")]
    return []


def strength(
    parts: Partialled, rows: MomentVariances, n: int, others: int, clusters: Grouped
) -> tuple[dict[str, Json], list[Message]]:
    """Return the first-stage strength, and a warning if the instruments are weak, or are the treatment itself."""
    m, moved = len(parts.z_t), parts.strength
    degrees = n - others - m
    residual = (parts.tt - moved) / degrees
    variance = rows.tt * ((n - 1) / degrees if clusters.codes else n / degrees)
    trace = float(np.trace(variance))
    effective = moved / trace if trace > 0 else math.inf
    diagnostics: dict[str, Json] = {
        "instruments": m,
        "partial_r2": moved / parts.tt,
        "first_stage_f": _ratio(moved / m, residual),
        "first_stage_f_robust": _robust_f(parts.z_t, variance),
        "effective_f": _ratio(moved, trace),
        "effective_f_critical": _effective_critical(variance) if trace > 0 else None,
    }
    critical = diagnostics["effective_f_critical"]
    if parts.tt - moved <= _NOTHING_LEFT * parts.tt:
        return diagnostics, [Message("iv.instrument-is-treatment")]
    if effective >= _WEAK:
        if not isinstance(critical, float) or effective >= critical:
            return diagnostics, []
        return diagnostics, [Message("iv.bias-not-rejected", f_statistic=effective, critical=critical)]
    return diagnostics, [Message("iv.weak-instrument", f_statistic=effective, least=_WEAK)]


def overidentification(
    parts: Partialled, rows: MomentVariances, n: int, alpha: float
) -> tuple[dict[str, Json], list[Message]]:
    """Return overidentification tests: Sargan's, and Hansen's J of the two-step estimate, which is robust.

    Hansen's rejection gives a warning.
    """
    m = len(parts.z_t)
    if m == 1 or rows.ee is None:
        return {}, []
    value = parts.value()
    residuals = parts.yy - 2 * value * parts.ty + value**2 * parts.tt
    moment = parts.z_y - value * parts.z_t
    found: dict[str, Json] = {"sargan": _chi_square(_ratio(n * float(moment @ moment), residuals), m - 1)}
    statistic = _hansen(parts, rows.ee)
    found["hansen_j"] = _chi_square(statistic, m - 1)
    if statistic is None or chi_square_survival(statistic, m - 1) >= alpha:
        return found, []
    p_value = chi_square_survival(statistic, m - 1)
    return found, [Message("iv.instruments-contradict", p_value=p_value)]


def _hansen(parts: Partialled, variance: Matrix) -> float | None:
    try:
        root = np.linalg.cholesky(variance)
    except np.linalg.LinAlgError:
        return None
    y, t = np.linalg.solve(root, np.column_stack([parts.z_y, parts.z_t])).T
    left = y - t * (t @ y / (t @ t))
    return finite(float(left @ left))


def _chi_square(statistic: float | None, degrees: int) -> Json:
    p_value = None if statistic is None else chi_square_survival(statistic, degrees)
    return {"statistic": statistic, "degrees": degrees, "p_value": p_value}


def endogeneity(
    parts: Partialled, rows: RowPass, n: int, parameters: tuple[int, int], clusters: Clusters, settings: Settings
) -> dict[str, Json]:
    """Return endogeneity tests: Wu and Hausman's F, and the same with the requested standard error.

    Args:
        parts: the cross-products.
        rows: the row-level results, for the contributions to the tested coefficient.
        n: number of rows.
        parameters: of the regression by instruments, and the number without effects nested in the clusters.
        clusters: groups of rows whose errors may be correlated.
        settings: the requested standard error.
    """
    k = parameters[0] + 1
    left = parts.tt - parts.strength
    if n <= k or left <= 1e-12 * parts.tt:
        return {}
    contributions, squares = rows.exogeneity()
    value = (parts.ty - float(parts.z_t @ parts.z_y)) / left - parts.value()
    variance = squares / (n - k) * (1 / left + 1 / parts.strength)
    if variance <= 1e-20 * parts.yy / parts.tt:
        return {}
    fit = Linear(
        value=value, contributions=contributions, parameters=k, parameters_not_nested=parameters[1] + 1,
        iid_variance=variance, leverage=None, jackknife=lambda codes, count: NO_JACKKNIFE,
    )  # fmt: skip
    return tested(value, variance, n - k, regression_se(fit, clusters, settings))


def tested(value: float, variance: float, degrees: int, uncertainty: Uncertainty) -> dict[str, Json]:
    """Return the endogeneity tests of a coefficient of the first-stage residual.

    Args:
        value: the coefficient.
        variance: for errors of equal variance.
        degrees: of freedom of that variance.
        uncertainty: the requested standard error.
    """
    statistic = value**2 / variance
    found: dict[str, Json] = {
        "wu_hausman": {"statistic": statistic, "degrees": [1, degrees], "p_value": f_survival(statistic, 1, degrees)}
    }
    if uncertainty.standard_error is not None:
        t = value / uncertainty.standard_error
        found["endogeneity_robust"] = {
            "statistic": t, "se_method": uncertainty.method, "p_value": two_sided(t, uncertainty.degrees),
        }  # fmt: skip
    return found


def _ratio(numerator: float, denominator: float) -> float | None:
    return finite(numerator / denominator) if denominator > 0 else None


def _robust_f(moment: Vector, variance: Matrix) -> float | None:
    try:
        return float(moment @ np.linalg.solve(variance, moment)) / len(moment)
    except np.linalg.LinAlgError:
        return None


def _effective_critical(variance: Matrix) -> float:
    """Return the 5% critical value of the effective F for a bias of 10% of the worst case (Montiel Olea and
    Pflueger)."""
    trace, largest = float(np.trace(variance)), float(np.linalg.eigvalsh(variance)[-1])
    bias = 10.0
    square = float(np.sum(variance * variance))
    degrees = trace**2 * (1 + 2 * bias) / (square + 2 * bias * trace * largest)
    return noncentral_quantile(0.95, degrees, bias * degrees) / degrees
