"""Meta-learners by moments: linear effects from cross-products by fold and arm, their average, and how far they vary.

An average and the best linear predictor are sums over all rows. The evaluation of heterogeneity ranks rows: for it, the
score, the predictions and the fold of each row are fetched where they are few enough; else it is of the sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message, of
from cqox.errors import UnusableData
from cqox.estimators.by_moments.double_ml import effect_score, over_splits
from cqox.estimators.by_moments.fetched import MOST_NUMBERS
from cqox.estimators.by_moments.instruments import clustered_products
from cqox.estimators.by_moments.propensity import Scores, out_of_fold, propensity
from cqox.estimators.by_moments.regression import ArmScores
from cqox.estimators.by_moments.rounds import Ask, Steps
from cqox.estimators.by_moments.summed import ONE, SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.by_moments.weighting import probability_rows
from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.estimate import Json
from cqox.estimators.inference.make_estimate import EstimateId
from cqox.estimators.learners.best_linear_predictor import in_own_units
from cqox.estimators.learners.effect_models import by_arms, by_imputation, by_scores, trainings
from cqox.estimators.learners.effect_tables import MOST_SPLITS, Heterogeneity, spread_table
from cqox.estimators.learners.heterogeneity import MOST_ROWS, judge
from cqox.estimators.learners.meta_learners import Learner
from cqox.estimators.learners.meta_learners import learned as learned_in_memory
from cqox.estimators.nuisance.arm_regressions import lines_of_arms
from cqox.estimators.nuisance.cross_fitting import TREATMENT_DETERMINED, check_folds
from cqox.estimators.nuisance.orthogonal_scores import clipping
from cqox.estimators.numerics.gram import solve, solve_each
from cqox.estimators.numerics.moments import Expr, case, linear, times
from cqox.estimators.sample import ARMS

__all__ = ["learned", "single"]

_FAMILY = "meta_learners"
_RANKED = ("predicted_effects", "judged_by_scores")
"""The tables that need the rows one by one."""


def single(tables: Tables) -> Steps:
    """Return the average effect by one linear model of covariates and treatment, cross-fitted."""
    rows = tables.complete("y", "treatment", "covariates")
    frame = tables.frame("xty", rows)
    k, t, y = frame.at["x"].stop, frame.column("t"), frame.column("y")
    scale, used = float(frame.scale[y] / frame.scale[t]), [*range(k), t]
    values = []
    for split in range(tables.settings.repetitions):
        blocks, counts = tables.blocks(frame, split)
        check_folds(counts, frame, ARMS)
        by_fold = blocks.sum(axis=1)
        rest = by_fold.sum(axis=0) - by_fold
        slopes = solve_each(rest[:, used][:, :, used], rest[:, used][:, :, y, None])[:, -1, 0]
        mass = by_fold[:, 0, 0]
        values.append(float(slopes @ mass / mass.sum()))
    # What the rows contribute is that of the regression without folds, in every split.
    combine = np.zeros((2, len(frame.labels)))
    combine[:, :k] = -solve_each(frame.products[None, :k, :k], frame.products[None, :k][:, :, [t, y]])[0].T
    combine[[0, 1], [t, y]] = 1.0
    square = float(combine[0] @ frame.products @ combine[0])
    if square <= 1e-14 * frame.n:
        raise UnusableData(TREATMENT_DETERMINED)
    own, outcome = (frame.combined(row) for row in combine)
    contributions = tuple(
        times(frame.weight, own, linear([(scale / square, outcome), (-value * scale / square, own)]))
        for value in values
    )
    answer = yield Ask(rows=rows, scores=contributions, weight=frame.weight)
    return over_splits(
        tables, frame, EstimateId("s_learner", _FAMILY, "ATE"), [value * scale for value in values], answer.scores,
        tables.by_arm(frame)[1], notes=(Message("learners.one-effect-for-all"),),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    """One split of the rows, in units of the standardised outcome.

    Attributes:
        score: the doubly robust score of each row's effect.
        clipped: values whose sums count the rows with clipped propensities.
        without, before: each row's effect by the model without its fold, and from the folds before it.
        fold: of each row.
        first: the first evaluated fold.
        right: (k,) cross-products of the columns with the scores; None for a learner that does not regress them.
    """

    score: Expr
    clipped: Sequence[Expr]
    without: Expr
    before: Expr
    fold: Expr
    first: int
    right: Vector | None


def learned(tables: Tables, *, learner: Learner) -> Steps:
    """Return the average effect of a learner, with tables of how far effects vary."""
    rows = tables.complete("y", "treatment", "covariates", probability_rows(tables))
    frame, scores = tables.frame("xty", rows), propensity(tables, rows)
    (products, arms), clustering = tables.by_arm(frame), tables.clustering(rows)
    n, scale = frame.n, float(frame.scale[frame.column("y")])
    splits = [_split(tables, frame, scores, learner, split) for split in range(tables.settings.repetitions)]
    effects = [each.score if learner == "dr_learner" else each.without for each in splits]
    through: list[tuple[float, Expr]] = []
    if learner != "dr_learner":
        # Equal to first order to what rows contribute through the regressions without each fold.
        lines = lines_of_arms(frame, products, arms)
        through = [(1.0, ArmScores.of(tables, frame, lines, "ATE").parts)]
    sums = [
        each
        for split, effect in zip(splits, effects, strict=True)
        for each in (times(frame.weight, effect), *split.clipped)
    ]
    answer = (yield Ask(rows=rows, sums=tuple(sums))).sums.reshape(len(splits), -1)
    values = answer[:, 0] / n
    contributions = tuple(
        linear([(1.0, times(frame.weight, linear([(scale / n, effect)], -value * scale / n))), *through])
        for effect, value in zip(effects, values.tolist(), strict=True)
    )
    last = yield Ask(rows=rows, scores=contributions, weight=frame.weight)
    degrees = float(max(clustering.fewest - 1, 1)) if clustering.counts else None
    found, of_sample = _heterogeneity(tables, frame, splits), tuple[Message, ...]()
    described = found.tables(frame.labels[: frame.at["x"].stop], scale, tables.settings.alpha, degrees)
    if n > MOST_ROWS:
        of_sample = (Message("by_moments.ranks-of-sample", rows=rows.pilot.n, of=n, most=MOST_ROWS),)
        described |= _ranks_of_sample(tables, learner)
    notes, warnings = clipping(int(answer[:, 1:].sum(axis=1).max()), n)
    return over_splits(
        tables, frame, EstimateId(learner, _FAMILY, "ATE"), (values * scale).tolist(), last.scores, arms,
        {"propensity": "given" if scores.known else "logit", **described}, (*scores.notes, *notes, *of_sample),
        (*scores.warnings, *warnings),
    )  # fmt: skip


def _split(tables: Tables, frame: SummedFrame, scores: Scores, learner: Learner, split: int) -> _Split:
    blocks, counts = tables.blocks(frame, split)
    k, y, fold = frame.at["x"].stop, frame.column("y"), tables.fold(split)
    score, moved = effect_score(tables, frame, scores, split)
    training, right, weight = trainings(counts, k), None, None
    if learner == "t_learner":
        models = by_arms(blocks, k, y, training)
    elif learner == "x_learner":
        models = by_imputation(blocks, k, y, training)
        weight = out_of_fold(tables, scores, split)
    else:
        by_fold = _score_products(tables, frame, score, fold, split)
        models, right = by_scores(blocks.sum(axis=1)[:, :k, :k], by_fold, training), by_fold.sum(axis=0)

    def predicted(coefficients: NDArray[np.float64]) -> Expr:
        each = [
            case(fold, *(frame.combined(row) for row in coefficients[:, place])) for place in range(models.shape[1])
        ]
        if weight is None:
            return each[0]
        return linear([(1.0, times(weight, each[0])), (1.0, times(linear([(-1.0, weight)], 1.0), each[1]))])

    return _Split(
        score=score, clipped=moved, without=predicted(models[: training.folds]),
        before=predicted(models[training.folds :]), fold=fold, first=training.first, right=right,
    )  # fmt: skip


def _score_products(tables: Tables, frame: SummedFrame, score: Expr, fold: Expr, split: int) -> Matrix:
    """Return (folds, k) cross-products of the columns with the scores, by fold."""

    def make() -> Matrix:
        z = frame.columns[: frame.at["x"].stop]
        weighted = times(frame.weight, score)
        found = frame.rows.source.grouped([weighted if each == ONE else times(weighted, each) for each in z], [fold])
        result = np.zeros((tables.settings.folds, len(z)))
        result[found[:, 0].astype(np.intp)] = found[:, 2:]
        return result

    return tables.once(("score products", split, frame.rows.known), make)


def _heterogeneity(tables: Tables, frame: SummedFrame, splits: Sequence[_Split]) -> Heterogeneity:
    """Return the best linear predictors, and what the ranks of the rows say where they are not too many."""
    found = Heterogeneity()
    for number, split in enumerate(splits[:MOST_SPLITS]):
        checkpoint()
        if split.right is not None:
            found.fits.append(_best_linear(tables, frame, split.score, split.right))
        if frame.n > MOST_ROWS:
            continue
        read = _fetched(tables, frame, split, with_spread=not number)
        weights, unit = read.get("weight"), float(frame.scale[frame.column("y")])
        if not number:
            found.spread = spread_table(read["without"], weights, unit)
        codes: Codes | None = read["cluster"].astype(np.int64) if "cluster" in read else None
        folds = read["fold"].astype(np.int64)
        try:
            found.judged.append(judge(read["score"], read["before"], folds, split.first, weights, codes))
        except UnusableData as error:
            found.reason = of(error.detail)
    return found


def _fetched(tables: Tables, frame: SummedFrame, split: _Split, *, with_spread: bool) -> dict[str, Vector]:
    """Return what the ranks of the rows need of them, in an order that follows from the values."""
    columns = {"score": split.score, "before": split.before, "fold": split.fold}
    if with_spread:
        columns["without"] = split.without
    if frame.weight is not None:
        columns["weight"] = frame.weight
    codes = dict(zip(("cluster",), tables.clusters(), strict=False))
    found = frame.rows.source.rows(columns, codes)
    # The last key is the first to sort by: it has the fewest ties.
    order = np.lexsort([found[name] for name in sorted(found, key=lambda name: name == "score")])
    return {name: values[order] for name, values in found.items()}


def _best_linear(tables: Tables, frame: SummedFrame, score: Expr, right: Vector) -> tuple[Vector, Matrix]:
    """Return `best_linear` of the scores, from (k,) cross-products of the columns with them."""
    k, source, clustering = frame.at["x"].stop, frame.rows.source, tables.clustering(frame.rows)
    z = frame.columns[:k]
    fit = solve(frame.products[:k, :k], right[:, None])
    residual = times(frame.weight, linear([(1.0, score), (-1.0, frame.combined(fit.coefficients[:, 0]))]))
    if not clustering.counts:
        return in_own_units(frame, fit, source.gram(z, [], times(residual, residual)).products[0], None)
    count, moments = clustering.counts[0], [residual if each == ONE else times(residual, each) for each in z]
    if count * k <= MOST_NUMBERS:
        sums = source.grouped(moments, tables.clusters()[:1])[:, 2:]
        return in_own_units(frame, fit, sums.T @ sums, count)
    return in_own_units(frame, fit, clustered_products(moments, frame, tables), count)


def _ranks_of_sample(tables: Tables, learner: Learner) -> dict[str, Json]:
    """Return the tables that need the rows one by one, of the sample."""
    try:
        diagnostics = learned_in_memory(tables.pilot, learner=learner).diagnostics
    except UnusableData as error:
        return {"judged_by_scores": {"reason": of(error.detail)}}
    return {name: diagnostics[name] for name in _RANKED}
