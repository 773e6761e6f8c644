"""Inverse probability and overlap weights by moments."""

from cqox.contract.messages import Message
from cqox.estimators.by_moments.errors import influence_error, refuse_sparse, reported
from cqox.estimators.by_moments.propensity import Scores, correction, propensity
from cqox.estimators.by_moments.rounds import Ask, Steps
from cqox.estimators.by_moments.summed import ONE, SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.estimate import Json
from cqox.estimators.inference.make_estimate import EstimateId
from cqox.estimators.numerics.moments import Constant, Expr, Quotient, case, linear, times

__all__ = ["arms_by_probability", "hajek", "probability_rows"]

_FAMILY = "weighting"


def probability_rows(tables: Tables) -> str:
    """Return the role that gives the probability of treatment."""
    return "pscore" if tables.encoded.pscore is not None else "propensity_covariates"


def arms_by_probability(tables: Tables, frame: SummedFrame, scores: Scores) -> tuple[int, int]:
    """Return the rows of each arm.

    Raises:
        NotByMoments: an arm has few rows for each coefficient of the logit.
    """
    arms = tables.by_arm(frame)[1]
    k = 1 if scores.known else scores.frame.at["x"].stop
    refuse_sparse(arms, (k, k))
    return arms


def hajek(tables: Tables, *, target: str) -> Steps:
    """Return the difference of weighted means, with weights that balance both arms to the target population."""
    rows = tables.complete("y", "treatment", probability_rows(tables))
    scores = propensity(tables, rows)
    frame = tables.frame("ty", rows)
    arms = arms_by_probability(tables, frame, scores)
    t, y = tables.treated(), frame.columns[frame.column("y")]
    treated, control, slopes = (times(frame.weight, each) for each in _weights(target, t, scores.e))
    sums = [treated, times(treated, y), times(treated, treated), control, times(control, y), times(control, control)]
    answer = yield Ask(rows=rows, sums=tuple(sums), largest=(treated, control))
    mass, means = (answer.sums[0], answer.sums[3]), (answer.sums[1] / answer.sums[0], answer.sums[4] / answer.sums[3])
    scale, origin = float(frame.scale[frame.column("y")]), float(frame.centre[frame.column("y")])
    spread = case(
        t,
        linear([(-scale / mass[1], y)], scale * means[1] / mass[1]),
        linear([(scale / mass[0], y)], -scale * means[0] / mass[0]),
    )
    contributions = times(linear([(1.0, treated), (1.0, control)]), spread)
    if not scores.known:
        z = scores.frame.columns[: scores.frame.at["x"].stop]
        moved = times(slopes, spread)
        slope = (yield Ask(rows=rows, sums=tuple(moved if each == ONE else times(moved, each) for each in z))).sums
        contributions = linear([(1.0, contributions), (1.0, correction(tables, scores, slope))])
    of_scores = yield Ask(rows=rows, scores=(contributions,), weight=frame.weight)
    uncertainty = influence_error(
        of_scores.scores[0], tables.clustering(rows), tables.settings, name="M-estimation", arms=True
    )
    effective = float(answer.sums[0] ** 2 / answer.sums[2]), float(answer.sums[3] ** 2 / answer.sums[5])
    diagnostics: dict[str, Json] = {
        "ess_treated": effective[0],
        "ess_control": effective[1],
        "mean_treated": float(origin + scale * means[0]),
        "mean_control": float(origin + scale * means[1]),
        "largest_weight_share": float(max(answer.largest[0] / mass[0], answer.largest[1] / mass[1])),
        "propensity": "given" if scores.known else "logit",
    }
    name = "overlap_weights" if target == "ATO" else f"ipw_{target.lower()}"
    doubts: tuple[Message, ...] = () if target == "ATO" else scores.warnings
    return reported(
        EstimateId(name, _FAMILY, target), tables, frame, float(scale * (means[0] - means[1])), uncertainty, rows=arms,
        n_effective=effective[0] + effective[1], diagnostics=diagnostics, notes=scores.notes, warnings=doubts,
    )  # fmt: skip


def _weights(target: str, t: Expr, e: Expr) -> tuple[Expr, Expr, Expr]:
    """Return the weights of the treated rows, of the untreated rows, and their derivative by the logit."""
    rest = linear([(-1.0, e)], 1.0)
    own, other = case(t, rest, e), case(t, e, rest)
    odds = Quotient(other, own)
    zero = Constant(0.0)
    if target == "ATE":
        slope = case(t, odds, linear([(-1.0, odds)]))
        return case(t, zero, Quotient(ONE, own)), case(t, Quotient(ONE, own), zero), slope
    if target == "ATT":
        return t, case(t, odds, zero), case(t, odds, zero)
    slope = times(case(t, ONE, Constant(-1.0)), own, other)
    return case(t, zero, other), case(t, other, zero), slope
