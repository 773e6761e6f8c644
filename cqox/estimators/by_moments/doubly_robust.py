"""Augmented and weighted outcome regressions by moments."""

import numpy as np

from cqox.estimators.by_moments.errors import influence_error, refuse_sparse, reported
from cqox.estimators.by_moments.propensity import correction, propensity
from cqox.estimators.by_moments.regression import ArmScores
from cqox.estimators.by_moments.rounds import Ask, Steps
from cqox.estimators.by_moments.summed import ONE
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.by_moments.weighting import probability_rows
from cqox.estimators.inference.make_estimate import EstimateId
from cqox.estimators.nuisance.arm_regressions import lines_of_arms
from cqox.estimators.numerics.moments import Constant, Quotient, case, linear, times

__all__ = ["aipw", "ipwra"]

_FAMILY = "doubly_robust"


def aipw(tables: Tables) -> Steps:
    """Return the mean of the doubly robust scores."""
    rows = tables.complete("y", "treatment", "covariates", probability_rows(tables))
    frame, scores, t = tables.frame("xty", rows), propensity(tables, rows), tables.treated()
    products, arms = tables.by_arm(frame)
    lines = lines_of_arms(frame, products, arms)
    refuse_sparse(arms, lines.parameters)
    y, e, rest = frame.column("y"), scores.e, linear([(-1.0, scores.e)], 1.0)
    mu0, mu1 = (frame.combined(lines.coefficients[:, arm]) for arm in (0, 1))
    inverse = case(t, Quotient(Constant(-1.0), rest), Quotient(ONE, e))
    residual = linear([(1.0, frame.columns[y]), (-1.0, case(t, mu0, mu1))])
    score = linear([(1.0, mu1), (-1.0, mu0), (1.0, times(inverse, residual))])
    own = times(frame.weight, case(t, Quotient(ONE, rest), Quotient(ONE, e)))
    by_arm = [times(each, own) for each in (linear([(-1.0, t)], 1.0), t)]
    answer = yield Ask(
        rows=rows,
        sums=(times(frame.weight, score), times(frame.weight, mu1), *(each for part in by_arm
              for each in (part, times(part, part)))),
    )  # fmt: skip
    scale, origin, n = float(frame.scale[y]), float(frame.centre[y]), frame.n
    value = float(answer.sums[0]) / n
    contribution = times(frame.weight, linear([(scale / n, score)], -scale * value / n))
    last = yield Ask(rows=rows, scores=(contribution,), weight=frame.weight)
    uncertainty = influence_error(
        last.scores[0], tables.clustering(rows), tables.settings, name="influence function", arms=True
    )
    return reported(
        EstimateId("aipw", _FAMILY, "ATE"), tables, frame, value * scale, uncertainty, rows=arms,
        n_effective=float(answer.sums[2] ** 2 / answer.sums[3] + answer.sums[4] ** 2 / answer.sums[5]),
        diagnostics={"mean_treated_score": origin + scale * float(answer.sums[1]) / n},
        notes=(*frame.notes, *scores.notes), warnings=(*lines.warnings, *scores.warnings),
    )  # fmt: skip


def ipwra(tables: Tables) -> Steps:
    """Return the contrast of two arms' regressions, each weighted by the inverse probability of its treatment."""
    rows = tables.complete("y", "treatment", "covariates", probability_rows(tables))
    frame, scores, t = tables.frame("xty", rows), propensity(tables, rows), tables.treated()
    arms = tables.by_arm(frame)[1]
    e, rest = scores.e, linear([(-1.0, scores.e)], 1.0)
    inverse = times(frame.weight, case(t, Quotient(ONE, rest), Quotient(ONE, e)))
    found = rows.source.gram(frame.columns, [t], inverse)
    lines = lines_of_arms(frame, found.products, arms)
    refuse_sparse(arms, lines.parameters)
    of_arms = ArmScores.of(tables, frame, lines, "ATE", inverse)
    contributions = linear([(1.0, of_arms.parts), (1.0, of_arms.across)])
    untreated = linear([(-1.0, t)], 1.0)
    by_arm = [times(each, inverse) for each in (untreated, t)]
    sums = [each for part in by_arm for each in (part, times(part, part))]
    slopes = []
    if not scores.known:
        moved = times(of_arms.parts, case(t, e, linear([(-1.0, rest)])))
        z = scores.frame.columns[: scores.frame.at["x"].stop]
        slopes = [moved if each == ONE else times(moved, each) for each in z]
    answer = yield Ask(rows=rows, sums=(*sums, *slopes))
    if slopes:
        correcting = correction(tables, scores, np.asarray(answer.sums[4:]))
        contributions = linear([(1.0, contributions), (1.0, correcting)])
    last = yield Ask(rows=rows, scores=(contributions,), weight=frame.weight)
    uncertainty = influence_error(
        last.scores[0], tables.clustering(rows), tables.settings, name="M-estimation", arms=True
    )
    return reported(
        EstimateId("ipwra", _FAMILY, "ATE"), tables, frame, of_arms.value, uncertainty, rows=arms,
        n_effective=float(answer.sums[0] ** 2 / answer.sums[1] + answer.sums[2] ** 2 / answer.sums[3]),
        notes=(*frame.notes, *scores.notes), warnings=(*lines.warnings, *scores.warnings),
    )  # fmt: skip
