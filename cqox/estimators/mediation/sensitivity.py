"""Checks of the mediation equations: treatment-mediator interaction, and correlated errors."""

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Json
from cqox.estimators.mediation.delta_method import Fitted, Values, effect_gradient, effect_value
from cqox.estimators.mediation.equations import covariance_of, fit_equations, residuals, row_moves
from cqox.estimators.numerics.quantiles import critical_value, f_survival

__all__ = ["correlated_errors", "interaction"]

_EXACT = 1e-12
"""Residual share of a sum of squares that rounding may leave of an exact fit."""


def interaction(shared: Fitted) -> dict[str, Json]:
    """Return the interaction coefficients of treatment and mediators, and the test that they are 0.

    The test uses the reported standard errors of effects, and Hotelling's distribution with their degrees of freedom: t
    for one mediator.
    """
    frame, mediators = shared.frame, len(shared.fit.responses)
    try:
        fit = fit_equations(frame, frame.products, mediators, interacted=True)
    except UnusableData:
        return {"reason": Message("mediation.products-collinear")}
    if fit.residual_second <= _EXACT * frame.products[frame.column("y"), frame.column("y")]:
        return {"reason": Message("mediation.equations-fit-exactly")}
    if frame.n <= len(fit.second) + mediators:
        return {"reason": Message("mediation.too-few-rows-to-test", rows=frame.n)}
    clusters = shared.clusters
    if clusters.codes and clusters.fewest <= mediators + 1:
        return {"reason": Message("mediation.too-few-clusters-to-test", clusters=clusters.fewest)}
    crossed = Fitted(
        frame=frame, fit=fit, moves=row_moves(frame, fit), clusters=clusters, settings=shared.settings,
        arm_codes=shared.arm_codes,
    )  # fmt: skip
    d = fit.theta[fit.at["d"]]
    details: dict[str, Json] = {"coefficients": (d * fit.unit).tolist()}
    p_value = _none_differs(crossed)
    if p_value is None:
        return {**details, "reason": Message("mediation.no-standard-errors-to-test")}
    return {**details, "p_value": p_value, "modelled": shared.settings.mediation_interaction}


def _none_differs(crossed: Fitted) -> float | None:
    """Return the p-value that all interactions are 0; None where they have no covariance."""
    place = crossed.fit.at["d"].start
    count, q = crossed.fit.at["d"].stop - place, len(crossed.fit.theta)
    statistics, scales, degrees = np.empty(count), np.empty(count), 0.0
    for at in range(count):
        value, uncertainty, _ = crossed.estimate(*_line(np.eye(q)[place + at]))
        if uncertainty.standard_error is None or uncertainty.degrees is None:
            return None
        statistics[at], scales[at] = value / uncertainty.standard_error, uncertainty.standard_error
        degrees = uncertainty.degrees
    correlations = np.eye(count)
    for at in range(count):
        for other in range(at):
            both = np.zeros(q)
            both[[place + at, place + other]] = 1.0 / scales[[at, other]]
            error = crossed.estimate(*_line(both))[1].standard_error
            # A variance of a sum of two of variance 1.
            correlations[at, other] = correlations[other, at] = (0.0 if error is None else error**2) / 2 - 1.0
    try:
        left = np.linalg.solve(np.linalg.cholesky(correlations), statistics)
    except np.linalg.LinAlgError:
        return None
    rest = degrees - count + 1
    return f_survival(float(left @ left) * rest / (degrees * count), count, rest)


def _line(gradient: Vector) -> tuple[Values, Vector]:
    """Return a combination of the coefficients, and its gradient."""
    return (lambda theta: np.asarray(theta @ gradient)), gradient


def correlated_errors(shared: Fitted) -> dict[str, Json]:
    """Return the ACME for each correlation ρ of the equations' errors; Imai, Keele and Yamamoto 2010, theorem 4.

    With one mediator and no product, b(ρ) = σ₁₂/σ₂₂ − r √(σ₁₁σ₂₂ − σ₁₂²)/σ₂₂ for r = ρ/√(1 − ρ²), where σ are the
    (co)variances of what covariates and treatment leave of outcome (1) and mediator (2). Errors are scaled so that
    without correlation the interval is that of the effect.
    """
    frame, fit, clusters = shared.frame, shared.fit, shared.clusters
    if len(fit.responses) > 1 or shared.settings.mediation_interaction:
        return {"reason": Message("mediation.one-mediator-only")}
    of_mediators, of_outcome = residuals(frame, fit)
    y, m, k = frame.column("y"), int(fit.responses[0]), len(fit.first)
    e2 = of_mediators[0]
    # Residuals of the outcome on covariates and treatment alone.
    e1 = of_outcome + float(fit.beta[k]) * e2
    weights = np.ones(frame.n) if frame.weights is None else frame.weights
    total = float(weights.sum())
    squares = np.stack([e1 * e1, e1 * e2, e2 * e2])
    s11, s12, s22 = (squares @ weights / total).tolist()
    left = s11 * s22 - s12 * s12
    if left <= _EXACT * s11 * s22:
        return {"reason": Message("mediation.exact-fit")}
    spread = np.vstack(
        [shared.moves[fit.at["a"]] / frame.scale[m], weights * (squares - [[s11], [s12], [s22]]) / total]
    )
    covariance, root, a = covariance_of(spread, clusters), np.sqrt(left), float(fit.theta[0]) / frame.scale[m]

    def at(rho: float) -> tuple[float, float]:
        r = rho / np.sqrt(1.0 - rho * rho)
        b = (s12 - r * root) / s22
        slope = [
            b,
            -a * r / (2 * root),
            a * (1 + r * s12 / root) / s22,
            a * (r * root / s22 - s12 / s22 - r * s11 / (2 * root)) / s22,
        ]
        return float(a * b) * fit.unit, float(np.sqrt(slope @ covariance @ slope)) * fit.unit

    reach = _reach(shared, at(0.0)[1])
    rows: list[Json] = []
    open_at: list[float] = []
    for rho in np.round(np.arange(-0.95, 0.951, 0.05), 2).tolist():
        value, error = at(rho)
        half = None if reach is None else reach * error
        rows.append(
            {
                "rho": rho,
                "acme": value,
                "ci_lower": None if half is None else value - half,
                "ci_upper": None if half is None else value + half,
            }
        )
        if half is not None and abs(value) <= half:
            open_at.append(rho)
    rho_zero = s12 / np.sqrt(s11 * s22)
    of_y, of_m = (_left_of(shared, column, s, total) for column, s in ((y, s11), (m, s22)))
    return {
        "rho_at_zero": float(rho_zero),
        "r2_product_at_zero": float(rho_zero**2),
        "r2_product_of_total_variance_at_zero": float(rho_zero**2 * of_y * of_m),
        "smallest_rho_with_zero_inside": min(open_at, key=abs) if open_at else None,
        "curve": rows,
    }


def _reach(shared: Fitted, plain: float) -> float | None:
    """Return the ratio of half an interval to its plain error, such that ρ = 0 gives the reported interval."""
    fit = shared.fit
    _, uncertainty, _ = shared.estimate(lambda theta: effect_value(fit, theta, "acme"), effect_gradient(fit, "acme"))
    if uncertainty.standard_error is None or plain <= 0:
        return None
    return critical_value(shared.settings.alpha, uncertainty.degrees) * uncertainty.standard_error / plain


def _left_of(shared: Fitted, column: int, variance: float, total: float) -> float:
    """Return the residual share of a variable's variance in its equation."""
    products = shared.frame.products
    whole = float(products[column, column] - products[0, column] ** 2 / products[0, 0]) / total
    return variance / whole
