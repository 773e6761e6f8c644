"""Double machine learning by moments: partially linear and interactive, with linear and logit nuisance functions."""

from collections.abc import Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.by_moments.errors import influence_error, reported
from cqox.estimators.by_moments.instruments import Lines, moment_variances
from cqox.estimators.by_moments.propensity import Scores, clipped, out_of_fold, propensity
from cqox.estimators.by_moments.rounds import Ask, ScoreSums, Steps
from cqox.estimators.by_moments.summed import SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.by_moments.weighting import probability_rows
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.inference.make_estimate import EstimateId
from cqox.estimators.inference.standard_errors import Uncertainty
from cqox.estimators.iv import specification
from cqox.estimators.iv.moments import Partialled, check_instruments, from_products
from cqox.estimators.nuisance.cross_fitting import (
    INFLUENCE,
    TREATMENT_DETERMINED,
    arms_without_folds,
    median_of_splits,
    residuals_without_folds,
)
from cqox.estimators.nuisance.orthogonal_scores import clipping
from cqox.estimators.numerics.moments import Expr, Quotient, case, linear, times

__all__ = ["effect_score", "instrumented", "interactive", "over_splits", "partially_linear"]

_FAMILY = "double_ml"


def partially_linear(tables: Tables) -> Steps:
    """Return the regression of outcome residuals on treatment residuals of linear fits."""
    rows = tables.complete("y", "treatment", "covariates")
    frame = tables.frame("xty", rows)
    t, y = frame.column("t"), frame.column("y")
    scale = float(frame.scale[y] / frame.scale[t])
    values: list[float] = []
    contributions: list[Expr] = []
    for split in range(tables.settings.repetitions):
        blocks, counts = tables.blocks(frame, split)
        combine, whole = residuals_without_folds(frame, blocks, counts, (t, y))
        cross, square = (float(np.einsum("fi,fij,fj->", combine[:, 0], whole, combine[:, each])) for each in (1, 0))
        if square <= 1e-14 * frame.n:
            raise UnusableData(TREATMENT_DETERMINED)
        slope, fold = cross / square, tables.fold(split)
        own_t, own_y = (case(fold, *(frame.combined(row) for row in combine[:, each])) for each in (0, 1))
        left = linear([(scale / square, own_y), (-slope * scale / square, own_t)])
        values.append(slope * scale)
        contributions.append(times(frame.weight, own_t, left))
    answer = yield Ask(rows=rows, scores=tuple(contributions), weight=frame.weight)
    arms = tables.by_arm(frame)[1] if tables.binary else None
    return over_splits(tables, frame, EstimateId("dml_plr", _FAMILY, "ATE"), values, answer.scores, arms)


def instrumented(tables: Tables) -> Steps:
    """Return two-stage least squares on residuals of linear fits, cross-fitted."""
    rows = tables.complete("y", "treatment", "instrument", "covariates")
    frame, clustering = tables.frame("xzty", rows), tables.clustering(rows)
    check_instruments(frame, tables.pilot)
    z, t, y = frame.at["z"], frame.column("t"), frame.column("y")
    scale = float(frame.scale[y] / frame.scale[t])
    found: list[tuple[Partialled, Lines]] = []
    for split in range(tables.settings.repetitions):
        columns, fold = [*range(z.start, z.stop), t, y], tables.fold(split)
        combine, whole = residuals_without_folds(frame, *tables.blocks(frame, split), columns)
        inner = np.einsum("fri,fij,fsj->rs", combine, whole, combine, optimize=True)
        parts = from_products(inner, np.eye(len(columns)), 0)
        if parts.strength <= 1e-20 * parts.tt:
            raise UnusableData(Message("learners.no-first-stage", instrument=tables.pilot.label("instrument")))
        left = [case(fold, *(frame.combined(row) for row in combine[:, each])) for each in range(len(columns))]
        found.append((parts, Lines.of_variables(left, parts)))
    contributions = []
    for parts, lines in found:
        residual = linear([(1.0, lines.y), (-parts.value(), lines.t)])
        contributions.append(times(frame.weight, lines.fitted, linear([(scale / parts.strength, residual)])))
    answer = yield Ask(rows=rows, scores=tuple(contributions), weight=frame.weight)
    values = [parts.value() * scale for parts, _ in found]
    # Instrument diagnostics are those of the split with the median estimate, or the one just below it.
    parts, lines = found[int(np.argsort(values, kind="stable")[(len(values) - 1) // 2])]
    variances, n = moment_variances(frame, parts, lines, tables, clustering), frame.n
    moved, weak = specification.strength(parts, variances, n, 0, clustering)
    agreeing, contradicted = specification.overidentification(parts, variances, n, tables.settings.alpha)
    sets, odd = specification.anderson_rubin(parts, variances, n, 0, clustering, tables.settings.alpha, scale)
    return over_splits(
        tables, frame, EstimateId("dml_pliv", _FAMILY, "LATE"), values, answer.scores, None,
        {**moved, **agreeing, **sets}, warnings=(*weak, *contradicted, *odd),
    )  # fmt: skip


def interactive(tables: Tables, *, target: str) -> Steps:
    """Return the mean doubly robust score over all rows (ATE) or the treated (ATT), cross-fitted."""
    rows = tables.complete("y", "treatment", "covariates", probability_rows(tables))
    frame, scores, t = tables.frame("xty", rows), propensity(tables, rows), tables.treated()
    products, arms = tables.by_arm(frame)
    y, share = frame.column("y"), float(products[1][0, 0] / products.sum(axis=0)[0, 0])
    scale, n = float(frame.scale[y]), frame.n
    by_split: list[tuple[Expr, Expr | None]] = []
    sums: list[Expr] = []
    for split in range(tables.settings.repetitions):
        fold = tables.fold(split)
        if target == "ATE":
            (score, moved), tilt = effect_score(tables, frame, scores, split), None
        else:
            combine = arms_without_folds(frame, *tables.blocks(frame, split))
            mu0 = case(fold, *(frame.combined(row) for row in combine[:, 0]))
            p, moved = clipped(out_of_fold(tables, scores, split))
            outcome, rest = frame.columns[y], linear([(-1.0, p)], 1.0)
            odds = case(t, linear([(-1.0 / share, Quotient(p, rest))]), linear([], 1.0 / share))
            score, tilt = times(linear([(1.0, outcome), (-1.0, mu0)]), odds), linear([(1.0 / share, t)])
        by_split.append((score, tilt))
        sums += [times(frame.weight, score), *moved]
    answer = (yield Ask(rows=rows, sums=tuple(sums))).sums.reshape(-1, 3)
    values = answer[:, 0] / n
    contributions = tuple(
        times(frame.weight, linear([(scale / n, score), *([] if tilt is None else [(-value * scale / n, tilt)])],
                                   -value * scale / n if tilt is None else 0.0))
        for (score, tilt), value in zip(by_split, values.tolist(), strict=True)
    )  # fmt: skip
    last = yield Ask(rows=rows, scores=contributions, weight=frame.weight)
    most = int(answer[:, 1:].sum(axis=1).max())
    notes, warnings = clipping(most, n)
    return over_splits(
        tables, frame, EstimateId(f"dml_irm_{target.lower()}", _FAMILY, target), (values * scale).tolist(),
        last.scores, arms, {"clipped_rows": most, "propensity": "given" if scores.known else "logit"},
        (*scores.notes, *notes), (*scores.warnings, *warnings),
    )  # fmt: skip


def effect_score(tables: Tables, frame: SummedFrame, scores: Scores, split: int) -> tuple[Expr, Sequence[Expr]]:
    """Return each row's doubly robust score of its effect in one split, as `effect_scores` does.

    Args:
        tables: the request's shared computations.
        frame: the columns.
        scores: the propensity.
        split: the split.

    Returns:
        The score, in units of the standardised outcome, and values whose sums count the rows with clipped propensities.

    Raises:
        UnusableData: a fold cannot be left out.
        NotByMoments: rows have no key to make folds by.
    """
    t, fold = tables.treated(), tables.fold(split)
    combine = arms_without_folds(frame, *tables.blocks(frame, split))
    mu0, mu1 = (case(fold, *(frame.combined(row) for row in combine[:, arm])) for arm in (0, 1))
    p, moved = clipped(out_of_fold(tables, scores, split))
    residual = linear([(1.0, frame.columns[frame.column("y")]), (-1.0, case(t, mu0, mu1))])
    inverse = case(t, Quotient(linear([], -1.0), linear([(-1.0, p)], 1.0)), Quotient(linear([], 1.0), p))
    return linear([(1.0, mu1), (-1.0, mu0), (1.0, times(residual, inverse))]), moved


def over_splits(
    tables: Tables,
    frame: SummedFrame,
    identity: EstimateId,
    values: list[float],
    sums: tuple[ScoreSums, ...],
    arms: tuple[int, int] | None,
    more: dict[str, Json] | None = None,
    notes: tuple[Message, ...] = (),
    warnings: tuple[Message, ...] = (),
) -> Estimate:
    """Return the median over the splits, as `cross_fitting.over_splits` does.

    Args:
        tables: the request's shared computations.
        frame: the columns.
        identity: name, family and estimand.
        values: of the splits, in units of y.
        sums: of the contributions in each split.
        arms: rows of each arm, for an estimator that compares them.
        more: further diagnostics.
        notes: what was done, next to what was done to the columns.
        warnings: caveats.
    """
    clustering = tables.clustering(frame.rows)
    by_split: list[Uncertainty] = [
        influence_error(each, clustering, tables.settings, name=INFLUENCE, arms=arms is not None) for each in sums
    ]
    value, uncertainty, diagnostics = median_of_splits(values, by_split, tables.settings)
    return reported(
        identity, tables, frame, value, uncertainty, rows=arms, n_effective=tables.effective(frame),
        diagnostics={**diagnostics, **(more or {})}, notes=(*frame.notes, *notes), warnings=warnings,
    )  # fmt: skip
