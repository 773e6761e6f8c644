"""Instrumental variables by moments: two-stage least squares, LIML, Fuller and the Wald ratio."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.errors import Regression, regression_error, reported
from cqox.estimators.by_moments.rounds import Answer, Ask, Steps
from cqox.estimators.by_moments.summed import Clustering, SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Json
from cqox.estimators.inference.clusters import FEW_CLUSTERS
from cqox.estimators.inference.make_estimate import EstimateId
from cqox.estimators.iv import specification
from cqox.estimators.iv.moments import MomentVariances, Partialled, check_instruments, limited, net_of_covariates
from cqox.estimators.numerics.moments import Expr, linear, times

__all__ = ["Lines", "clustered_products", "k_class", "moment_variances"]

_FAMILY = "instruments"


def k_class(tables: Tables, *, name: str) -> Steps:
    """Return a k-class estimate: 1 for two stages and Wald, LIML's ratio, or Fuller's."""
    if tables.pilot.has("fixed_effects"):
        raise NotByMoments(Message("by_moments.fixed-effects"))
    groups, roles = ("zty", ()) if name == "iv_wald" else ("xzty", ("covariates",))
    rows = tables.complete("y", "treatment", "instrument", *roles)
    frame = tables.frame(groups, rows)
    clustering = tables.clustering(rows)
    if 0 < clustering.fewest < FEW_CLUSTERS:
        raise NotByMoments(Message("by_moments.few-clusters"))
    check_instruments(frame, tables.pilot)
    parts = net_of_covariates(frame, frame.products)
    if parts.strength <= 1e-20 * parts.tt:
        raise UnusableData(Message("iv.no-first-stage", instrument=tables.pilot.label("instrument")))
    k, m, n = parts.covariates + 1, len(parts.z_t), frame.n
    kappa = 1.0
    if name in ("iv_liml", "iv_fuller"):
        kappa = limited(parts) - (1.0 / max(n - (k - 1 + m), 1) if name == "iv_fuller" else 0.0)
    if parts.denominator(kappa) <= 0:
        raise UnusableData(Message("iv.no-finite-estimate"))
    scale = float(frame.scale[frame.column("y")] / frame.scale[frame.column("t")])
    lines = Lines.of(frame, parts)
    residual = linear([(1.0, lines.y), (-parts.value(kappa), lines.t)])
    contribution = times(frame.weight, lines.fitted, linear([(scale / parts.denominator(kappa), residual)]))
    answer = yield Ask(
        rows=rows, sums=(times(frame.weight, residual, residual),), scores=(contribution,), weight=frame.weight
    )
    squares = float(answer.sums[0])
    fit = Regression(
        value=parts.value(kappa) * scale, sums=answer.scores[0], n=n, parameters=k, not_nested=k,
        iid_variance=squares / (n - k) / parts.denominator(kappa) * scale**2, without_each=_not_known,
        compares_arms=False,
    )  # fmt: skip
    uncertainty = regression_error(fit, clustering, tables.settings)
    diagnostics, warnings = yield from _specification(tables, frame, parts, lines, clustering, scale)
    if name in ("iv_liml", "iv_fuller"):
        diagnostics["kappa"] = kappa
    return reported(
        EstimateId(name, _FAMILY, "LATE"), tables, frame, fit.value, uncertainty, rows=None,
        n_effective=tables.effective(frame), diagnostics=diagnostics, notes=frame.notes, warnings=warnings,
    )  # fmt: skip


def _not_known() -> Vector | Message:
    raise NotByMoments(Message("by_moments.few-clusters"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Instruments, treatment and outcome of each row net of the covariates.

    Attributes:
        z: orthonormal instruments.
        t, y: treatment and outcome.
        fitted: the treatment by the instruments.
    """

    z: tuple[Expr, ...]
    t: Expr
    y: Expr
    fitted: Expr

    @classmethod
    def of(cls, frame: SummedFrame, parts: Partialled) -> "Lines":
        """Return those of a frame's columns."""
        m = len(parts.z_t)
        return cls(
            z=tuple(frame.combined(row) for row in parts.combine[:m]),
            t=frame.combined(parts.combine[m]),
            y=frame.combined(parts.combine[m + 1]),
            fitted=frame.combined(parts.z_t @ parts.combine[:m]),
        )

    @classmethod
    def of_variables(cls, variables: Sequence[Expr], parts: Partialled) -> "Lines":
        """Return those of some variables, whose combinations the parts have."""

        def combined(row: Vector) -> Expr:
            return linear(zip(row.tolist(), variables, strict=True))

        m = len(parts.z_t)
        return cls(
            z=tuple(combined(row) for row in parts.combine[:m]),
            t=combined(parts.combine[m]),
            y=combined(parts.combine[m + 1]),
            fitted=combined(parts.z_t @ parts.combine[:m]),
        )


def _specification(
    tables: Tables, frame: SummedFrame, parts: Partialled, lines: Lines, clustering: Clustering, scale: float
) -> Generator[Ask, Answer, tuple[dict[str, Json], tuple[Message, ...]]]:
    """Return strength, tests and Anderson-Rubin sets."""
    n, k, settings = frame.n, parts.covariates + 1, tables.settings
    variances = tables.once(
        ("instruments", frame.rows.known), lambda: moment_variances(frame, parts, lines, tables, clustering)
    )
    moved, weak = specification.strength(parts, variances, n, k - 1, clustering)
    agreeing, contradicted = specification.overidentification(parts, variances, n, settings.alpha)
    needed = yield from _endogeneity(tables, frame, parts, lines, clustering)
    sets, odd = specification.anderson_rubin(parts, variances, n, k - 1, clustering, settings.alpha, scale)
    return {**moved, **agreeing, **needed, **sets}, (*weak, *contradicted, *odd)


def moment_variances(
    frame: SummedFrame, parts: Partialled, lines: Lines, tables: Tables, clustering: Clustering
) -> MomentVariances:
    """Return the variances of the moments, clustered by the first dimension.

    Args:
        frame: the columns.
        parts: their cross-products net of covariates.
        lines: instruments, treatment and outcome of each row net of covariates.
        tables: the request's shared computations.
        clustering: the clusters of the rows.
    """
    m, source = len(parts.z_t), frame.rows.source
    by_y = linear([(1.0, lines.y), *((-value, z) for value, z in zip(parts.z_y.tolist(), lines.z, strict=True))])
    by_t = linear([(1.0, lines.t), (-1.0, lines.fitted)])
    left = linear([(1.0, lines.y), (-parts.value(), lines.t)])
    moments = [times(frame.weight, each, z) for each in (by_y, by_t, left)[: 3 if m > 1 else 2] for z in lines.z]
    plain = source.gram(moments).products[0]
    variance = plain
    if clustering.counts:
        variance = clustered_products(moments, frame, tables)
        variance *= clustering.counts[0] / max(clustering.counts[0] - 1, 1)
        # Hansen's J is defined by the plain sums.
        variance[2 * m :] *= (clustering.counts[0] - 1) / clustering.counts[0]
    return MomentVariances(
        yy=variance[:m, :m], yt=variance[:m, m : 2 * m], tt=variance[m : 2 * m, m : 2 * m],
        ee=variance[2 * m :, 2 * m :] if m > 1 else None,
    )  # fmt: skip


def clustered_products(moments: Sequence[Expr], frame: SummedFrame, tables: Tables) -> Matrix:
    """Return (m, m) cross-products of sums over clusters of the first dimension.

    They come by polarisation: ab = ((a + b)² - (a - b)²) / 4.

    Args:
        moments: (m) of each row.
        frame: the columns of its rows.
        tables: the request's shared computations.
    """
    size = len(moments)
    pairs = [(i, j) for i in range(size) for j in range(i, size)]
    values = [linear([(1.0, moments[i]), (sign, moments[j])]) for i, j in pairs for sign in (1.0, -1.0)]
    squares, _ = frame.rows.source.squares(values, [tables.clusters()[0]])
    result: NDArray[np.float64] = np.empty((size, size))
    for (i, j), (plus, minus) in zip(pairs, squares.reshape(-1, 2).tolist(), strict=True):
        result[i, j] = result[j, i] = (plus - minus) / 4
    return result


def _endogeneity(
    tables: Tables, frame: SummedFrame, parts: Partialled, lines: Lines, clustering: Clustering
) -> Generator[Ask, Answer, dict[str, Json]]:
    """Return the tests of endogeneity."""
    n, k = frame.n, parts.covariates + 2
    left_squares = parts.tt - parts.strength
    if n <= k or left_squares <= 1e-12 * parts.tt:
        return {}
    on_left = (parts.ty - float(parts.z_t @ parts.z_y)) / left_squares
    across = linear([(1.0, lines.t), (-1.0, lines.fitted)])
    residual = linear([(1.0, lines.y), (-parts.value(), lines.fitted), (-on_left, across)])
    loads = linear([(1.0 / left_squares, across), (-1.0 / parts.strength, lines.fitted)])
    answer = yield Ask(
        rows=frame.rows, sums=(times(frame.weight, residual, residual),),
        scores=(times(frame.weight, residual, loads),), weight=frame.weight,
    )  # fmt: skip
    value = on_left - parts.value()
    variance = float(answer.sums[0]) / (n - k) * (1 / left_squares + 1 / parts.strength)
    if variance <= 1e-20 * parts.yy / parts.tt:
        return {}
    fit = Regression(
        value=value, sums=answer.scores[0], n=n, parameters=k, not_nested=k, iid_variance=variance,
        without_each=lambda: specification.NO_JACKKNIFE, compares_arms=False,
    )  # fmt: skip
    return specification.tested(value, variance, n - k, regression_error(fit, clustering, tables.settings))
