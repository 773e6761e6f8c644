"""A regression discontinuity study: an outcome, its bandwidths, its jump, and the jump's standard errors.

The estimators use it for the outcome; the diagnostics for each covariate, for the donut hole without the rows next to
the cutoff, and at other bandwidths.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Settings, Vector
from cqox.estimators.estimate import Json
from cqox.estimators.inference.clusters import clustered_variance
from cqox.estimators.numerics.quantiles import critical_value, two_sided
from cqox.estimators.plan import Plan
from cqox.estimators.rd.bandwidth import Bandwidths, mse_bandwidths
from cqox.estimators.rd.jump import Jump, jump
from cqox.estimators.rd.local_polynomial import Kernel, Residual, Side
from cqox.estimators.rd.running_variable import Score, score_of
from cqox.estimators.sample import Sample

__all__ = ["DISTINCT", "Effect", "Errors", "Study", "effective_degrees", "study"]

DISTINCT = 10
"""Distinct values of the score that preliminary windows hold on each side where it has mass points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """The standard errors of one combination of jumps.

    Attributes:
        plain, robust: of the conventional estimate, and of the bias-corrected one.
        apart: the robust one with clusters split at the cutoff; None without clusters.
        degrees: of freedom of the t distribution; None for the normal.
        parts: (rows,) contributions to the bias-corrected estimate, by the sample's rows.
        clusters: number of clusters in the window, 0 where rows are independent.
    """

    plain: float
    robust: float
    apart: float | None
    degrees: float | None
    parts: Vector
    clusters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A jump, or a ratio of two.

    Attributes:
        value, corrected: conventional, and bias-corrected, in units of the outcome.
        scale: factor from the units of the errors to those of the outcome, with the sign of the effect.
        errors: its standard errors.
    """

    value: float
    corrected: float
    scale: float
    errors: Errors

    def json(self, alpha: float) -> dict[str, Json]:
        """Return the conventional estimate with the robust bias-corrected interval and p-value."""
        error = self.errors.robust * abs(self.scale)
        if not error > 0:
            return {"estimate": self.value, "standard_error": None, "reason": Message("rd.no-variation")}
        half = critical_value(alpha, self.errors.degrees) * error
        return {
            "estimate": self.value,
            "standard_error": error,
            "ci_lower": self.corrected - half,
            "ci_upper": self.corrected + half,
            "p_value": two_sided(self.corrected / error, self.errors.degrees),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The study of one outcome.

    Attributes:
        sample: its rows.
        score: their score.
        values: (k, n) the outcome in units of `scale`, from `centre`; the treatment of a fuzzy design; covariates.
        sides: both sides of the score, with these values.
        weights: (n,) of sampling, None where there are none.
        covariates: number of the values that are covariates.
        residual: how variances are estimated.
        codes: clusters of each dimension, by the sample's rows.
        order: of the polynomials of the estimate.
        bandwidths: in units of `score.unit`.
        jump: in the same.
        scale, centre: of the outcome.
    """

    sample: Sample
    score: Score
    values: Matrix
    sides: tuple[Side, Side]
    weights: Vector | None
    covariates: int
    residual: Residual
    codes: tuple[Codes, ...]
    order: int
    bandwidths: Bandwidths
    jump: Jump
    scale: float
    centre: float

    def at(self, *, times: float = 1.0, beyond: float | None = None, order: int | None = None) -> Jump:
        """Return the jump at multiples of the bandwidths, without the rows within a distance of the cutoff, or by
        polynomials of another order.

        Raises:
            UnusableData: too few distinct values of the score are left.
        """
        sides = self.sides
        if beyond is not None:
            first = self.codes[0] if self.codes else None
            sides = self.score.sides(self.values, self.weights, first, beyond=beyond, kernel=sides[0].kernel)
        h, b = self.bandwidths.h * times, self.bandwidths.b * times
        order = self.order if order is None else order
        return jump(sides, h, b, covariates=self.covariates, residual=self.residual, order=order)

    def net_outcome(self) -> Vector:
        """Return (n,) the outcome net of the covariates, in units of `scale`, from `centre`."""
        if not self.covariates:
            return np.asarray(self.values[0])
        return np.asarray(self.values[0] - self.jump.adjusted @ self.values[-self.covariates :])

    def errors(self, found: Jump, mixture: Sequence[float]) -> Errors:
        """Return the errors of a combination of a jump's heads, in units of `scale`."""
        plain, robust = np.asarray(mixture) @ found.plain_parts, np.asarray(mixture) @ found.corrected_parts
        parts = np.zeros(self.sample.n)
        parts[found.rows] = robust
        if not self.codes:
            return Errors(plain=_norm(plain), robust=_norm(robust), apart=None, degrees=None, parts=parts, clusters=0)
        codes = [code[found.rows] for code in self.codes]
        fewest = min(len(np.unique(code)) for code in codes)
        if fewest < 2:
            return Errors(plain=0.0, robust=0.0, apart=None, degrees=None, parts=parts, clusters=fewest)
        rows, order = len(found.rows), found.curves.shape[1] - 1
        # Coefficients of both sides: of the estimate, and of the polynomials that correct its bias.
        coefficients = (2 * (order + 1), 2 * (order + 2))
        variances = [
            clustered_variance(each, codes) * (rows - 1) / max(rows - parameters, 1)
            for each, parameters in zip((plain, robust), coefficients, strict=True)
        ]
        return Errors(
            plain=math.sqrt(max(variances[0], 0.0)), robust=math.sqrt(max(variances[1], 0.0)),
            apart=math.sqrt(found.clustered_apart(robust, self.sides, order + 2)), degrees=fewest - 1.0, parts=parts,
            clusters=fewest,
        )  # fmt: skip

    def effect(self, found: Jump, sign: float = 1.0) -> Effect:
        """Return the jump of the outcome, or in a fuzzy design its ratio to that of the treatment.

        Raises:
            UnusableData: the treatment does not jump at all.
        """
        if len(found.plain) == 1:
            value, corrected, mixture = float(found.plain[0]), float(found.corrected[0]), [1.0]
        else:
            outcome, treated = (float(each) for each in found.plain)
            if treated == 0:
                raise UnusableData(Message("rd.no-jump"))
            value = outcome / treated
            bias = found.plain - found.corrected
            corrected = value - float(bias[0] - value * bias[1]) / treated
            mixture = [1 / treated, -value / treated]
        scale = self.scale * sign
        return Effect(value=value * scale, corrected=corrected * scale, scale=scale, errors=self.errors(found, mixture))

    def difference(self, one: Effect, other: Effect) -> float | None:
        """Return the p-value of the difference of two bias-corrected estimates from these rows; None where they do not
        vary apart."""
        degrees = one.errors.degrees
        parts = other.errors.parts * other.scale - one.errors.parts * one.scale
        square = clustered_variance(parts, self.codes) if self.codes else float(parts @ parts)
        if not square > 0:
            return None
        statistic = (other.corrected - one.corrected) / math.sqrt(square)
        return two_sided(statistic, effective_degrees(parts) if degrees is None else degrees)

    def outcome_jump(self, found: Jump) -> Effect:
        """Return the jump of the outcome, also in a fuzzy design (reduced form)."""
        errors = self.errors(found, [1.0, *[0.0] * (len(found.plain) - 1)])
        return Effect(
            value=float(found.plain[0]) * self.scale, corrected=float(found.corrected[0]) * self.scale,
            scale=self.scale, errors=errors,
        )  # fmt: skip


def effective_degrees(parts: Vector) -> float:
    """Return the degrees of freedom of a variance of few independent contributions, as in tests of 1% and less.

    The sum of squares of normal residuals times weights w varies as a chi-square of (sum w²)² / sum w⁴ degrees
    (Satterthwaite 1946, doi 10.2307/3002019); contributions to the power of four are three times w⁴ on average, and
    residuals by the same nearest neighbours repeat each other, which halves the degrees.

    Args:
        parts: (n,) contributions to an estimate, not all zero.
    """
    squares = np.square(parts)
    return float(1.5 * squares.sum() ** 2 / np.square(squares).sum())


def study(
    plan: Plan, sample: Sample, outcome: Vector, *, treatment: Vector | None = None, strict: bool = False,
    covariates: Matrix | None = None, bandwidths: Bandwidths | None = None, bias: float | None = None,
    kernel: Kernel | None = None,
) -> Study:  # fmt: skip
    """Return the study of an outcome, by polynomials of the order of `options.rd_order`.

    Args:
        plan: the request's plan.
        sample: the complete cases of the score and the other arguments.
        outcome: (n,) of the sample.
        treatment: (n,) of a fuzzy design.
        strict: True if a row at the cutoff belongs to those below it.
        covariates: (c, n) to adjust for.
        bandwidths: bandwidths to use instead of the MSE-optimal ones.
        bias: bandwidth of the bias to use instead, in units of the running variable.
        kernel: to use instead of `options.rd_kernel`.

    Raises:
        UnusableData: the score has too few distinct values on a side.
    """
    score = score_of(plan, sample, strict=strict)
    centre = float(outcome.mean())
    scale = float(np.abs(outcome - centre).max()) or 1.0
    heads = [(outcome - centre) / scale, *([] if treatment is None else [treatment])]
    extra = 0 if covariates is None else len(covariates)
    values = np.stack([*heads, *(covariates if covariates is not None else ())])
    codes, weights = _clusters(plan, sample), plan.weights(sample)
    first = codes[0] if codes else None
    kernel, order = kernel or plan.settings.rd_kernel, plan.settings.rd_order
    sides = score.sides(values, weights, first, kernel=kernel)
    residual = _residual(plan.settings, clustered=bool(codes))
    if bandwidths is None:
        one_sided = treatment is not None and any(np.ptp(side.values[1]) == 0 for side in sides)
        chosen = sides
        if one_sided:
            chosen = score.sides(np.delete(values, 1, axis=0), weights, first, kernel=kernel)
        bandwidths = mse_bandwidths(
            chosen, spread=score.spread, rows=sum(score.distinct), ratio=treatment is not None and not one_sided,
            covariates=extra, residual=residual, distinct=DISTINCT if score.massed else 0,
            order=order,
        )  # fmt: skip
    if bias is not None:
        bandwidths = replace(bandwidths, b=bias / score.unit)
    return Study(
        sample=sample, score=score, values=values, sides=sides, weights=weights, covariates=extra, residual=residual,
        codes=codes, order=order, bandwidths=bandwidths, scale=scale, centre=centre,
        jump=jump(sides, bandwidths.h, bandwidths.b, covariates=extra, residual=residual, order=order),
    )  # fmt: skip


def _clusters(plan: Plan, sample: Sample) -> tuple[Codes, ...]:
    """Return the clusters; none where a standard error for independent rows was requested."""
    independent = plan.settings.se in ("iid", "HC0", "HC1", "HC2", "HC3")
    return () if independent else plan.clusters(sample).codes


def _residual(settings: Settings, *, clustered: bool) -> Residual:
    if clustered:
        return "HC0"
    match settings.se:
        case "HC0" | "HC1" | "HC2" | "HC3":
            return settings.se
        case _:
            return "NN"


def _norm(parts: Vector) -> float:
    return math.sqrt(float(parts @ parts))
