"""Instrumental variables: two-stage least squares and the Wald ratio, always with Anderson-Rubin sets.

Both assume that the instrument moves the treatment, that it is as good as random given the covariates, that it reaches
the outcome through the treatment alone, and, for a local average effect, that it moves nobody's treatment backwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cqox.errors import UnusableData
from cqox.estimators._anderson_rubin import ConfidenceSet, Moments, confidence_set
from cqox.estimators._chunks import Partial
from cqox.estimators._frame import Frame
from cqox.estimators._gram import grouped_gram, solve
from cqox.estimators._least_squares import JACKKNIFE_CELLS
from cqox.estimators._quantiles import chi_square_survival, f_survival, noncentral_quantile
from cqox.estimators._result import Title, estimated, pooled_periods, two_arms, varying_outcome
from cqox.estimators._sample import Sample
from cqox.estimators._uncertainty import Clusters, Linear, regression
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.plan import Plan

__all__ = ["ESTIMATORS"]

_FAMILY = "instruments"
_WEAK = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Partialled:
    """Cross-products of instruments, treatment and outcome with the covariates taken out.

    Attributes:
        x: positions of the covariates in the frame.
        rest: positions of instruments, treatment and outcome, in this order.
        on_x: (|x|, |rest|) coefficients of these on the covariates.
        root: (m, m) lower factor of the instruments' cross-products.
        z_t, z_y: (m,) cross-products with the orthonormal instruments.
        tt, ty, yy: of treatment and outcome.
    """

    x: NDArray[np.intp]
    rest: NDArray[np.intp]
    on_x: Matrix
    root: Matrix
    z_t: Vector
    z_y: Vector
    tt: float
    ty: float
    yy: float

    @property
    def value(self) -> float:
        """The two-stage least squares coefficient, standardised."""
        return float(self.z_t @ self.z_y / (self.z_t @ self.z_t))


def _partialled(frame: Frame, products: Matrix) -> _Partialled:
    x = np.arange(0 if frame.absorbed is None else 1, frame.at["x"].stop)
    z, t, y = frame.at["z"], frame.column("t"), frame.column("y")
    rest = np.asarray([*range(z.start, z.stop), t, y], dtype=np.intp)
    on_x = solve(products[np.ix_(x, x)], products[np.ix_(x, rest)]).coefficients
    inner = products[np.ix_(rest, rest)] - products[np.ix_(rest, x)] @ on_x
    m = len(rest) - 2
    root = np.linalg.cholesky(inner[:m, :m])
    whitened = np.linalg.solve(root, inner[:m, m:])
    return _Partialled(
        x=x, rest=rest, on_x=on_x, root=root, z_t=whitened[:, 0], z_y=whitened[:, 1],
        tt=float(inner[m, m]), ty=float(inner[m, m + 1]), yy=float(inner[m + 1, m + 1]),
    )  # fmt: skip


def _check(frame: Frame, plan: Plan) -> None:
    """Refuse instruments that the covariates determine, and samples too small."""
    z = frame.at["z"]
    within = " within the fixed effects" if frame.absorbed is not None else ""
    absorbed = frame.absorbed.degrees if frame.absorbed is not None else 0
    needed = frame.at["x"].stop + (z.stop - z.start) + absorbed
    if frame.n <= needed:
        raise UnusableData(f"{frame.n} complete rows are too few for {needed} coefficients; map fewer covariates.")
    x = np.arange(0 if frame.absorbed is None else 1, frame.at["x"].stop)
    for name, columns in (("instrument", range(z.start, z.stop)), ("treatment", [frame.column("t")])):
        left = [_left_beside(frame, x, column) for column in columns]
        if not left or min(left) <= 1e-10:
            raise UnusableData(
                f"The {name} '{plan.label(name)}' is determined by the other variables{within}, "
                "so that it carries nothing of its own."
            )


def _left_beside(frame: Frame, x: NDArray[np.intp], column: int) -> float:
    """The share of a column's squares that the covariates leave."""
    own = float(frame.products[column, column])
    if own <= 1e-14 * frame.n:
        return 0.0
    right = frame.products[x, column]
    return 1.0 - float(right @ solve(frame.products[np.ix_(x, x)], right[:, None]).coefficients[:, 0]) / own


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """What one pass over the rows gives: contributions to the estimate, and the variance of the moments."""

    contributions: Vector
    squares: float
    yy: Matrix
    yt: Matrix
    tt: Matrix


def _row_pass(frame: Frame, parts: _Partialled, clusters: Clusters) -> _Pass:
    m, weights, value = len(parts.z_t), frame.weights, parts.value
    combine = np.zeros((m + 2, len(frame.matrix)))
    combine[np.arange(m + 2), parts.rest] = 1.0
    combine[:, parts.x] = -parts.on_x.T
    combine[:m] = np.linalg.solve(parts.root, combine[:m])
    strength = float(parts.z_t @ parts.z_t)
    contributions = np.empty(frame.n)
    moments = np.empty((2 * m, frame.n)) if clusters.codes else None

    def work(s: slice) -> Partial:
        values = combine @ frame.matrix[:, s]
        z, t, y = values[:m], values[m], values[m + 1]
        residual = y - value * t
        weighted = residual if weights is None else residual * weights[s]
        fitted = parts.z_t @ z
        np.multiply(fitted, weighted / strength, out=contributions[s])
        unrestricted = y - parts.z_y @ z, t - fitted
        if weights is not None:
            unrestricted = unrestricted[0] * weights[s], unrestricted[1] * weights[s]
        both = np.concatenate([z * unrestricted[0], z * unrestricted[1]])
        if moments is not None:
            moments[:, s] = both
        return np.asarray(weighted @ residual), both @ both.T

    squares, variance = frame.rows.total(work)
    if moments is not None:
        variance = _clustered(moments, clusters.codes[0], clusters.counts[0])
    return _Pass(
        contributions=contributions, squares=float(squares),
        yy=variance[:m, :m], yt=variance[:m, m:], tt=variance[m:, m:],
    )  # fmt: skip


def _clustered(moments: Matrix, codes: Codes, count: int) -> Matrix:
    sums = np.stack([np.bincount(codes, row, count) for row in moments])
    return np.asarray(sums @ sums.T * (count / max(count - 1, 1)))


def _instrumented(plan: Plan, title: Title, groups: str, sample: Sample, effects: Sequence[Codes]) -> Estimate:
    frame = plan.frame(groups, sample, effects)
    _check(frame, plan)
    parts = _partialled(frame, frame.products)
    strength = float(parts.z_t @ parts.z_t)
    if strength <= 1e-20 * parts.tt:
        raise UnusableData(
            f"The instrument '{plan.label('instrument')}' does not move the treatment at all in the complete rows."
        )
    clusters = plan.clusters(sample)
    rows = _row_pass(frame, parts, clusters)
    scale = float(frame.scale[frame.column("y")] / frame.scale[frame.column("t")])
    absorbed = frame.absorbed
    k = len(parts.x) + 1 + (absorbed.degrees if absorbed is not None else 0)
    beside = len(parts.x) + 1 + (absorbed.degrees_beside(clusters.codes) if absorbed is not None else 0)
    fit = Linear(
        value=parts.value * scale,
        contributions=rows.contributions * scale,
        parameters=k,
        parameters_beside_clusters=beside,
        iid_variance=rows.squares / (frame.n - k) / strength * scale**2,
        leverage=None,
        jackknife=lambda codes, count: _without_each(frame, codes, count, scale),
    )
    uncertainty = regression(fit, clusters, plan.settings)
    sets = _sets(plan, parts, rows, frame.n, k - 1, clusters)
    diagnostics, warnings = _strength(plan, parts, rows, frame.n, k - 1, clusters)
    for key, (found, p_value) in sets.items():
        diagnostics[f"anderson_rubin_{key}"] = {**found.scaled(scale).json(), "p_value_no_effect": p_value}
    robust = sets["robust"][0]
    if not robust.pieces:
        warnings.append("The robust Anderson-Rubin set is empty: the instruments contradict each other.")
    elif not robust.bounded:
        warnings.append("The robust Anderson-Rubin set is unbounded: the instruments do not bound the effect.")
    return estimated(
        title, plan, sample, fit.value, fit.contributions, uncertainty, diagnostics=diagnostics,
        notes=frame.notes, warnings=(*warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _without_each(frame: Frame, codes: Codes, count: int, scale: float) -> Vector | None:
    absorbed = frame.absorbed
    if absorbed is not None and absorbed.degrees_beside([codes]) > 1:
        return None
    if count * len(frame.matrix) ** 2 > JACKKNIFE_CELLS:
        return None
    blocks, _ = grouped_gram(frame.rows, frame.matrix, frame.weights, codes, count)
    whole = blocks.sum(axis=0)
    try:
        return np.asarray([_partialled(frame, whole - block).value * scale for block in blocks])
    except np.linalg.LinAlgError:
        return None


def _sets(
    plan: Plan, parts: _Partialled, rows: _Pass, n: int, others: int, clusters: Clusters
) -> dict[str, tuple[ConfidenceSet, float]]:
    """The homoskedastic and the robust set, each with the p-value of no effect."""
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
    return {
        key: (
            confidence_set(moments, plan.settings.alpha, variance),
            f_survival(moments.statistic(0.0), m, moments.degrees),
        )
        for key, moments, variance in (("homoskedastic", plain, "homoskedastic"), ("robust", robust, name))
    }


def _strength(
    plan: Plan, parts: _Partialled, rows: _Pass, n: int, others: int, clusters: Clusters
) -> tuple[dict[str, Json], list[str]]:
    """How strongly the instruments move the treatment, and a warning where that is not enough."""
    m, moved = len(parts.z_t), float(parts.z_t @ parts.z_t)
    degrees = n - others - m
    residual = (parts.tt - moved) / degrees
    variance = rows.tt * ((n - 1) / degrees if clusters.codes else n / degrees)
    trace = float(np.trace(variance))
    effective = moved / trace if trace > 0 else float("inf")
    diagnostics: dict[str, Json] = {
        "instruments": m,
        "partial_r2": moved / parts.tt,
        "first_stage_f": _finite_ratio(moved / m, residual),
        "first_stage_f_robust": _robust_f(parts.z_t, variance),
        "effective_f": _finite_ratio(moved, trace),
        "effective_f_critical": _effective_critical(variance) if trace > 0 else None,
    }
    residuals = parts.yy - 2 * parts.value * parts.ty + parts.value**2 * parts.tt
    if m > 1:
        moment = parts.z_y - parts.value * parts.z_t
        statistic = n * float(moment @ moment) / residuals
        p_value = chi_square_survival(statistic, m - 1)
        diagnostics["sargan"] = {"statistic": statistic, "degrees": m - 1, "p_value": p_value}
    if effective >= _WEAK:
        return diagnostics, []
    return diagnostics, [
        f"Weak instrument: the effective first-stage F is {effective:.2f}, below {_WEAK:g}. The estimate is biased and "
        "its interval too short; rely on the Anderson-Rubin set."
    ]


def _finite_ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator > 0 else None


def _robust_f(moment: Vector, variance: Matrix) -> float | None:
    try:
        return float(moment @ np.linalg.solve(variance, moment)) / len(moment)
    except np.linalg.LinAlgError:
        return None


def _effective_critical(variance: Matrix) -> float:
    """The 5% critical value of the effective F for a worst-case bias of 10%, by Montiel Olea and Pflueger (2013)."""
    trace, largest = float(np.trace(variance)), float(np.linalg.eigvalsh(variance)[-1])
    bias = 10.0
    square = float(np.sum(variance * variance))
    degrees = trace**2 * (1 + 2 * bias) / (square + 2 * bias * trace * largest)
    return noncentral_quantile(0.95, degrees, bias * degrees) / degrees


def _two_stage(plan: Plan) -> Estimate:
    title = Title("iv_2sls", _FAMILY, "LATE")
    return _instrumented(plan, title, "xzty", _two_stage_sample(plan), plan.data.fixed_effects)


def _wald(plan: Plan) -> Estimate:
    return _instrumented(plan, Title("iv_wald", _FAMILY, "LATE"), "zty", _wald_sample(plan), ())


def _two_stage_sample(plan: Plan) -> Sample:
    return plan.sample("y", "treatment", "instrument", "covariates", "fixed_effects")


def _wald_sample(plan: Plan) -> Sample:
    return plan.sample("y", "treatment", "instrument")


def _two_stage_rule(plan: Plan) -> str | None:
    sample = _two_stage_sample(plan)
    reason = _arms(plan, sample)
    if reason is None and plan.data.instruments.shape[1] >= sample.n:
        return f"There are {plan.data.instruments.shape[1]} instruments for {sample.n} complete rows."
    return reason


def _wald_rule(plan: Plan) -> str | None:
    if plan.data.instruments.shape[1] != 1:
        return "It takes one instrument; iv_2sls takes several."
    if plan.has("covariates") or plan.has("fixed_effects"):
        return "It has no place for covariates; iv_2sls has."
    sample = _wald_sample(plan)
    levels = np.unique(sample.take(plan.data.instruments[:, 0]))
    if len(levels) != 2:
        return f"It needs an instrument of two levels; '{plan.label('instrument')}' has {len(levels)}."
    return _arms(plan, sample)


def _arms(plan: Plan, sample: Sample) -> str | None:
    return two_arms(plan, sample) if plan.data.treatment_kind == "binary" else varying_outcome(plan, sample)


_ERROR = "HC1; CRV1 with t(G-1) when clustered, CRV3 with few clusters; Anderson-Rubin sets besides"
_BOTH = frozenset[Literal["binary", "continuous", "none"]]({"binary", "continuous"})

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="iv_2sls",
        family=_FAMILY,
        estimand="LATE",
        summary="Two-stage least squares: the effect on those whom the instrument moves; it is as good as random given "
        "the covariates and reaches the outcome through the treatment alone.",
        requires=("y", "treatment", "instrument"),
        optional=("covariates", "fixed_effects", "weights", "cluster"),
        standard_error=_ERROR,
        paper="Theil 1953; Angrist and Imbens 1995, JASA 90, equation 8; Anderson and Rubin 1949, equation 3.1",
        doi="10.1080/01621459.1995.10476535",
        checked_against="linearmodels IV2SLS; R ivmodel (Anderson-Rubin)",
        laws=CROSS_SECTION_LAWS | {"scale_treatment"},
        treatment=_BOTH,
        rule=_two_stage_rule,
        compute=_two_stage,
    ),
    Estimator(
        name="iv_wald",
        family=_FAMILY,
        estimand="LATE",
        summary="The instrument's effect on the outcome over its effect on the treatment; it is as good as random and "
        "reaches the outcome through the treatment alone.",
        requires=("y", "treatment", "instrument"),
        optional=("weights", "cluster"),
        standard_error=_ERROR,
        paper="Wald 1940; Imbens and Angrist 1994, Econometrica 62, theorem 1",
        doi="10.2307/2951620",
        checked_against="linearmodels IV2SLS",
        laws=CROSS_SECTION_LAWS - {"irrelevant_constant", "collinear_copy"} | {"scale_treatment"},
        treatment=_BOTH,
        rule=_wald_rule,
        compute=_wald,
    ),
)
