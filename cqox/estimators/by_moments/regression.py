"""Outcome regressions by moments: difference in means, covariate adjustment, Lin's regression, g-computation."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.errors import Regression, influence_error, refuse_sparse, regression_error, reported
from cqox.estimators.by_moments.rounds import Answer, Ask, ScoreSums, Steps
from cqox.estimators.by_moments.summed import SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Json
from cqox.estimators.inference.least_squares import contrasts_without_each, focus, values_without_each
from cqox.estimators.inference.make_estimate import EstimateId
from cqox.estimators.inference.small_arms import trace_ratio
from cqox.estimators.nuisance.arm_regressions import ArmLines, lines_of_arms
from cqox.estimators.numerics.gram import solve_independent
from cqox.estimators.numerics.moments import Expr, Quotient, case, linear, times

__all__ = [
    "ArmScores",
    "difference_in_means",
    "fitted_combination",
    "g_computation",
    "leave_out_clusters",
    "lin_interacted",
    "ols_adjustment",
]

_FAMILY = "regression"
_REFINE = 1e-12
_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A least-squares fit whose coefficients were checked against the rows.

    Attributes:
        coefficients: (k,) standardised.
        inverse: (k, k) inverse cross-products.
        residual: of each row, standardised.
        squares: weighted sum of squared residuals.
        score: what each row contributes to the combination.
    """

    coefficients: Vector
    inverse: Matrix
    residual: Expr
    squares: float
    score: Expr


def fitted_combination(
    frame: SummedFrame, regressors: NDArray[np.intp], target: int, direction: Vector
) -> Generator[Ask, Answer, tuple[Fitted, ScoreSums]]:
    """Fit a column on some others, and return the sums of the contributions to a combination of its coefficients.

    The products of residuals and regressors show the error of the cross-product algebra; if that is more than rounding,
    the coefficients are corrected by a step of iterative refinement.

    Args:
        frame: the columns.
        regressors: (k,) positions of the regressors, linearly independent.
        target: position of the response.
        direction: (k,) weights of the standardised coefficients.
    """
    solution = solve_independent(
        frame.products[np.ix_(regressors, regressors)], frame.products[regressors, target][:, None]
    )
    coefficients = solution.coefficients[:, 0]
    influence = _combination(frame, regressors, solution.inverse @ direction)
    for _ in range(_ROUNDS):
        own = _combination(frame, regressors, coefficients)
        residual = linear([(1.0, frame.columns[target]), (-1.0, own)])
        weighted = times(frame.weight, residual)
        gradient = tuple(times(weighted, frame.columns[column]) for column in regressors)
        score = times(weighted, influence)
        answer = yield Ask(
            rows=frame.rows, sums=(times(weighted, residual), *gradient), scores=(score,), weight=frame.weight
        )
        correction = solution.inverse @ answer.sums[1:]
        largest = max(1.0, np.abs(coefficients).max(initial=0.0))
        if np.abs(correction).max(initial=0.0) <= _REFINE * largest:
            break
        coefficients = coefficients + correction
    found = Fitted(
        coefficients=coefficients, inverse=solution.inverse, residual=residual, squares=float(answer.sums[0]),
        score=score,
    )  # fmt: skip
    return found, answer.scores[0]


def _combination(frame: SummedFrame, columns: NDArray[np.intp], coefficients: Vector) -> Expr:
    whole = np.zeros(len(frame.labels))
    whole[columns] = coefficients
    return frame.combined(whole)


def difference_in_means(tables: Tables) -> Steps:
    """Return the difference of the arms' means, with Neyman's variance."""
    rows = tables.complete("y", "treatment")
    frame = tables.frame("ty", rows)
    regressors = focus(frame, "t", _treatment(tables))
    products, (untreated, treated) = tables.by_arm(frame)
    direction = _last(len(regressors)) * frame.scale[frame.column("y")] / frame.scale[regressors]
    fit, sums = yield from fitted_combination(frame, regressors, frame.column("y"), direction)
    hc2 = yield from _neyman(tables, frame, products, (untreated, treated), fit.residual)
    regression = Regression(
        value=float(direction @ fit.coefficients), sums=sums, n=frame.n, parameters=2, not_nested=2,
        iid_variance=fit.squares / (frame.n - 2) * float(direction @ fit.inverse @ direction),
        without_each=leave_out_clusters(tables, frame, regressors, direction), compares_arms=tables.binary,
        hc2=hc2,
    )  # fmt: skip
    uncertainty = regression_error(regression, tables.clustering(rows), tables.settings)
    return reported(
        EstimateId("difference_in_means", _FAMILY, "ATE"), tables, frame, regression.value, uncertainty,
        rows=(untreated, treated), n_effective=tables.effective(frame),
        diagnostics={"n_treated": treated, "n_untreated": untreated},
    )  # fmt: skip


def _neyman(
    tables: Tables, frame: SummedFrame, products: NDArray[np.float64], rows: tuple[int, int], residual: Expr
) -> Generator[Ask, Answer, tuple[float, float]]:
    """Return HC2 of a difference in means and its degrees of freedom, Welch's without sampling weights."""
    scale, y = float(frame.scale[frame.column("y")]), frame.column("y")
    if frame.weight is None:
        squares = [float(each[y, y] - each[0, y] ** 2 / each[0, 0]) for each in products]
        parts = [scale**2 * square / (n * (n - 1.0)) for square, n in zip(squares, rows, strict=True)]
        inverses = [1.0 / (n - 1.0) for n in rows]
    else:
        mass = products[:, 0, 0]
        p = times(case(tables.treated(), *(linear([(1.0 / each, frame.weight)]) for each in mass.tolist())))
        rest = linear([(-1.0, p)], 1.0)
        error = times(p, residual)
        d = Quotient(times(p, p), rest)
        kinds = (
            Quotient(times(error, error), rest),
            times(p, p),
            times(p, d),
            times(d, d),
            d,
            times(p, d, d),
            times(d, p, p),
        )
        by_arm = [times(own, each) for own in _arms(tables) for each in kinds]
        found = (yield Ask(rows=frame.rows, sums=tuple(by_arm))).sums.reshape(2, len(kinds))
        parts = [scale**2 * float(square) for square in found[:, 0]]
        names = ("pp", "pd", "dd", "d", "pdd", "dpp")
        inverses = [trace_ratio(**dict(zip(names, row.tolist(), strict=True))) for row in found[:, 1:]]
    total = sum(parts)
    if total <= 0:
        return total, float(frame.n - 2)
    return total, 1.0 / sum((part / total) ** 2 * share for part, share in zip(parts, inverses, strict=True))


def _arms(tables: Tables) -> tuple[Expr, Expr]:
    """Return 1 for the untreated rows, and 1 for the treated ones."""
    treated = tables.treated()
    return linear([(-1.0, treated)], 1.0), treated


def ols_adjustment(tables: Tables) -> Steps:
    """Return the coefficient of the treatment in a regression on the covariates."""
    if tables.pilot.has("fixed_effects"):
        raise NotByMoments(Message("by_moments.fixed-effects"))
    rows = tables.complete("y", "treatment", "covariates")
    frame = tables.frame("xty", rows)
    regressors = focus(frame, "t", _treatment(tables))
    k, arms = len(regressors), None
    if tables.binary:
        arms = tables.by_arm(frame)[1]
        refuse_sparse(arms, (k, k))
    direction = _last(k) * frame.scale[frame.column("y")] / frame.scale[regressors]
    fit, sums = yield from fitted_combination(frame, regressors, frame.column("y"), direction)
    regression = Regression(
        value=float(direction @ fit.coefficients), sums=sums, n=frame.n, parameters=k, not_nested=k,
        iid_variance=fit.squares / (frame.n - k) * float(direction @ fit.inverse @ direction),
        without_each=leave_out_clusters(tables, frame, regressors, direction), compares_arms=tables.binary,
    )  # fmt: skip
    uncertainty = regression_error(regression, tables.clustering(rows), tables.settings)
    statistic = regression.value / np.sqrt(regression.iid_variance) if regression.iid_variance > 0 else 0.0
    diagnostics: dict[str, Json] = {
        "parameters": k,
        "partial_r2": float(statistic**2 / (statistic**2 + frame.n - k)),
        "residual_degrees_of_freedom": frame.n - k,
    }
    return reported(
        EstimateId("ols_adjustment", _FAMILY, "ATE"), tables, frame, regression.value, uncertainty,
        rows=arms, n_effective=tables.effective(frame), diagnostics=diagnostics, notes=frame.notes,
    )  # fmt: skip


def leave_out_clusters(
    tables: Tables, frame: SummedFrame, regressors: NDArray[np.intp], direction: Vector
) -> Callable[[], Vector | Message]:
    """Return the function that gives a combination of coefficients without each cluster."""

    def values() -> Vector | Message:
        (column,) = tables.clusters()
        used = [frame.columns[place] for place in (*regressors, frame.column("y"))]
        return values_without_each(frame.rows.source.gram(used, [column], frame.weight).products, direction)

    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmScores:
    """The contributions of rows to a contrast of two arms' regressions at a point.

    Attributes:
        lines: the regressions.
        value: the contrast, in units of y.
        residual: of each row from its own arm's regression, standardised.
        parts: what the residual contributes.
        across: what the covariates contribute through the mean over which effects are averaged.
    """

    lines: ArmLines
    value: float
    residual: Expr
    parts: Expr
    across: Expr

    @classmethod
    def of(
        cls, tables: Tables, frame: SummedFrame, lines: ArmLines, target: str, weight: Expr | None = None
    ) -> "ArmScores":
        """Return the contributions.

        Args:
            tables: the request's shared computations.
            frame: the columns.
            lines: the regressions.
            target: the population over which effects are averaged.
            weight: of the rows in the regressions; the sampling weight where None.
        """
        k, y, treated = frame.at["x"].stop, frame.column("y"), tables.treated()
        scale = float(frame.scale[y])
        products, _ = tables.by_arm(frame)
        over = {"ATE": products.sum(axis=0), "ATT": products[1], "ATC": products[0]}[target]
        mass = float(over[0, 0])
        mean = over[0, :k] / mass
        change = (lines.coefficients[:, 1] - lines.coefficients[:, 0]) * scale
        value = float(mean @ change)
        own = case(treated, *(frame.combined(lines.coefficients[:, arm]) for arm in (0, 1)))
        residual = linear([(1.0, frame.columns[y]), (-1.0, own)])
        carried = case(
            treated, *(frame.combined((2 * arm - 1) * scale * (lines.inverses[arm] @ mean)) for arm in (0, 1))
        )
        share = {"ATE": None, "ATT": treated, "ATC": linear([(-1.0, treated)], 1.0)}[target]
        effect = linear([(1.0 / mass, frame.combined(change))], -value / mass)
        return cls(
            lines=lines, value=value, residual=residual,
            parts=times(frame.weight if weight is None else weight, residual, carried),
            across=times(frame.weight, share, effect),
        )  # fmt: skip


def lin_interacted(tables: Tables) -> Steps:
    """Return Lin's estimate of the population's average effect."""
    rows = tables.complete("y", "treatment", "covariates")
    frame = tables.frame("xty", rows)
    products, arms = tables.by_arm(frame)
    lines = lines_of_arms(frame, products, arms)
    refuse_sparse(arms, lines.parameters)
    scores = ArmScores.of(tables, frame, lines, "ATE")
    automatic, scale = tables.settings.se == "auto", float(frame.scale[frame.column("y")])
    whole = linear([(1.0, scores.parts), (1.0, scores.across)]) if automatic else scores.parts
    answer = yield Ask(
        rows=rows, sums=(times(frame.weight, scores.residual, scores.residual), times(scores.across, scores.across)),
        scores=(whole,), weight=frame.weight,
    )  # fmt: skip
    k, n = sum(lines.parameters), frame.n
    mean = products.sum(axis=0)[0, : frame.at["x"].stop] / products[:, 0, 0].sum()
    spread = sum(float(mean @ inverse @ mean) for inverse in lines.inverses)
    iid = float(answer.sums[0]) / (n - k) * scale**2 * spread + (float(answer.sums[1]) if automatic else 0.0)

    def without_each() -> Vector | Message:
        (column,) = tables.clusters()
        found = frame.rows.source.gram(frame.columns, [column, tables.treated()], frame.weight)
        clusters = np.unique(found.keys[:, 0], return_inverse=True)[1]
        width = len(frame.labels)
        by_arm = np.zeros((int(clusters.max()) + 1, 2, width, width))
        by_arm[clusters, found.keys[:, 1].astype(np.intp)] = found.products
        return contrasts_without_each(frame, by_arm, None if automatic else mean)

    regression = Regression(
        value=scores.value, sums=answer.scores[0], n=n, parameters=k, not_nested=k, iid_variance=iid,
        without_each=without_each, compares_arms=True, unconditional=automatic,
    )  # fmt: skip
    uncertainty = regression_error(regression, tables.clustering(rows), tables.settings)
    return reported(
        EstimateId("lin_interacted", _FAMILY, "ATE"), tables, frame, scores.value, uncertainty, rows=arms,
        n_effective=tables.effective(frame), diagnostics={"parameters": k}, notes=frame.notes,
        warnings=lines.warnings,
    )  # fmt: skip


def g_computation(tables: Tables, *, target: str) -> Steps:
    """Return the mean difference of the arms' predictions over all rows (ATE) or the treated (ATT)."""
    if tables.settings.outcome_model != "linear":
        raise NotByMoments(Message("by_moments.outcome-model"))
    rows = tables.complete("y", "treatment", "covariates")
    frame = tables.frame("xty", rows)
    products, arms = tables.by_arm(frame)
    lines = lines_of_arms(frame, products, arms)
    refuse_sparse(arms, lines.parameters)
    scores = ArmScores.of(tables, frame, lines, target)
    answer = yield Ask(
        rows=rows, scores=(linear([(1.0, scores.parts), (1.0, scores.across)]),), weight=frame.weight
    )  # fmt: skip
    uncertainty = influence_error(
        answer.scores[0], tables.clustering(rows), tables.settings, name="M-estimation", arms=True
    )
    return reported(
        EstimateId(f"g_computation_{target.lower()}", _FAMILY, target), tables, frame, scores.value, uncertainty,
        rows=arms, n_effective=tables.effective(frame), notes=frame.notes, warnings=lines.warnings,
    )  # fmt: skip


def _treatment(tables: Tables) -> Message:
    return Message("inference.the-treatment-named", treatment=tables.pilot.label("treatment"))


def _last(length: int) -> Vector:
    contrast = np.zeros(length)
    contrast[-1] = 1.0
    return contrast
