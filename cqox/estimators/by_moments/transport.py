"""Effects in a target population, of which treatment and outcomes are not known, by moments."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.adjustment.represented import Represented
from cqox.estimators.adjustment.transport import population_rows
from cqox.estimators.by_moments.errors import influence_error, reported
from cqox.estimators.by_moments.propensity import Scores, correction, fitted_logit
from cqox.estimators.by_moments.rounds import Ask, Steps
from cqox.estimators.by_moments.summed import ONE, Complete, SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.inference.arm_sizes import allowing_for_clusters
from cqox.estimators.inference.make_estimate import EstimateId, finite
from cqox.estimators.numerics.gram import solve
from cqox.estimators.numerics.moments import Constant, Expr, Is, Known, Quotient, case, linear, times
from cqox.estimators.sample import ARMS, listed

__all__ = ["transported"]

_ROUNDING = 1e-12
_NAMES = {"weights": "transport_weighting", "outcomes": "transport_g_computation", "both": "transport_dr"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Populations:
    """Source and target, with the models fitted on them.

    Attributes:
        member: 1 in the source, 0 in the target.
        everybody: the covariates and membership of both.
        within: the covariates, treatment and outcome of the source.
        belonging: the probability of membership in the source.
        chance: the probability of treatment in the source.
        treatment: its logit; None where it was given.
    """

    member: Expr
    everybody: SummedFrame
    within: SummedFrame
    belonging: Scores
    chance: Expr
    treatment: Scores | None


def _populations(tables: Tables) -> _Populations:
    return tables.once("transport", lambda: _fitted(tables))


def _fitted(tables: Tables) -> _Populations:
    encoded, pilot = tables.encoded, tables.pilot
    assert encoded.in_source is not None
    member = Is(encoded.in_source, ">", 0.0)
    covered = tables.complete("sample", "covariates")
    complete = tables.complete("sample", "covariates", "y", "treatment", "pscore")
    of_both, of_source = population_rows(pilot)
    inside = complete.source.where(member)
    within = tables.frame("xty", Complete(known=complete.known | {member}, source=inside, pilot=of_source))
    gaps = tuple(complete.known - covered.known)
    everyone = covered.source.where(case(member, ONE, Known(gaps))) if gaps else covered.source
    # Rows of the source alone are asked for by their own key.
    both = Complete(
        known=complete.known | {case(member, ONE, Constant(2.0))}, source=everyone, pilot=of_both, compared=inside
    )
    columns, labels = {"x": encoded.covariates, "t": (encoded.in_source,)}, pilot.labels("covariates")
    everybody = tables.frame_of(columns, {"x": labels, "t": ("source",)}, both)
    _check(tables, everybody, within)
    belonging = fitted_logit(tables, everybody, member, Message("adjustment.the-source"))
    treatment = None
    if encoded.pscore is None:
        treatment = fitted_logit(tables, within, tables.treated(), Message("nuisance.treatment"))
    chance = treatment.e if treatment is not None else encoded.pscore
    assert chance is not None
    return _Populations(
        member=member, everybody=everybody, within=within, belonging=belonging, chance=chance, treatment=treatment
    )


def _check(tables: Tables, everybody: SummedFrame, within: SummedFrame) -> None:
    target, y = everybody.n - within.n, within.column("y")
    if target < 2:
        raise UnusableData(Message("adjustment.target-too-small", rows=target, column=tables.pilot.label("sample")))
    for arm, rows in zip(ARMS, tables.by_arm(within)[1], strict=True):
        if rows < 2:
            raise UnusableData(Message("adjustment.few-rows-of-arm-in-source", rows=rows, arm=arm))
    if within.scale[y] == 0:
        outcome = tables.pilot.label("y")
        raise UnusableData(Message("adjustment.constant-outcome-in-source", outcome=outcome, rows=within.n))


def transported(tables: Tables, *, use: Literal["weights", "outcomes", "both"]) -> Steps:
    """Return the effect in the target, from weighted outcomes of the source, their regressions, or both."""
    found = _populations(tables)
    frame, whole, member, t = found.within, found.everybody, found.member, tables.treated()
    weight = tables.encoded.weights
    k, y, wide = frame.at["x"].stop, frame.column("y"), whole.at["x"].stop
    products, arms = tables.by_arm(frame)
    outside = times(linear([(-1.0, member)], 1.0), weight)
    first = yield Ask(
        rows=whole.rows, sums=(*(times(outside, each) for each in (*frame.columns[:k], *whole.columns[:wide])),)
    )
    mass = float(first.sums[0])
    goal, target = first.sums[:k] / mass, first.sums[k:] / mass
    lines, inverses = np.zeros((2, k)), np.zeros((2, k, k))
    doubts: list[Message] = []
    for arm in (0, 1) if use != "weights" else ():
        fit = solve(products[arm, :k, :k], products[arm, :k, [y]].T)
        if arms[arm] <= len(fit.kept):
            raise UnusableData(Message("adjustment.source-arm-too-small", arm=ARMS[arm], coefficients=len(fit.kept)))
        lines[arm], inverses[arm] = fit.coefficients[:, 0], fit.inverse
        lost = [frame.labels[column] for column in np.setdiff1d(np.arange(k), fit.kept)]
        if lost:
            doubts.append(Message("adjustment.source-arm-extrapolates", arm=ARMS[arm], columns=listed(lost)))
    odds = Quotient(linear([(-1.0, found.belonging.e)], 1.0), found.belonging.e)
    weighting = times(odds, weight)
    residual = linear([(1.0, frame.columns[y]), (-1.0, case(t, *(frame.combined(each) for each in lines)))])
    chance = case(t, linear([(-1.0, found.chance)], 1.0), found.chance)
    share = Quotient(weighting, chance)
    own = [times(share, linear([(-1.0, t)], 1.0)), times(share, t)]
    second = yield Ask(
        rows=frame.rows,
        sums=(
            weighting, times(weighting, weighting), *(times(weighting, each) for each in whole.columns[:wide]),
            *(times(ONE, weight, each) for each in whole.columns[:wide]),
            *(times(part, each) for part in own for each in (residual, *frame.columns[:k])),
        ),
        largest=(weighting,),
    )  # fmt: skip
    values, reach = np.zeros(2), np.tile(goal if use != "weights" else np.zeros(k), (2, 1))
    moved: Expr = Constant(0.0)
    by_arm = second.sums[2 + 2 * wide :].reshape(2, k + 1)
    if use != "outcomes":
        values, totals = by_arm[:, 0] / by_arm[:, 1], by_arm[:, 1]
        reach = reach - by_arm[:, 1:] / totals[:, None]
        moved = times(share, case(t, *(
            linear([(sign / total, residual)], -sign * value / total)
            for sign, total, value in zip((-1.0, 1.0), totals.tolist(), values.tolist(), strict=True)
        )))  # fmt: skip
    along = case(t, *(frame.combined((2 * arm - 1) * (inverses[arm] @ reach[arm])) for arm in (0, 1)))
    fitted = times(frame.weight, residual, along)
    change = lines[1] - lines[0]
    mean = float(change @ goal)
    centred = times(linear([(1.0 / mass, frame.combined(change))], -mean / mass), weight)
    in_source = linear([(1.0, moved), (1.0, fitted)])
    contributions: Expr = case(member, centred, in_source)
    if use != "outcomes":
        slopes = [times(linear([(-1.0, moved)]), each) for each in whole.columns[:wide]]
        if found.treatment is not None:
            e = found.treatment.e
            through = times(moved, case(t, e, linear([(1.0, e)], -1.0)))
            slopes += [times(through, each) for each in frame.columns[:k]]
        slope = (yield Ask(rows=frame.rows, sums=tuple(slopes))).sums
        if found.treatment is not None:
            in_source = linear([(1.0, in_source), (1.0, correction(tables, found.treatment, slope[wide:]))])
        through_odds = correction(tables, found.belonging, slope[:wide], member)
        contributions = linear([(1.0, case(member, centred, in_source)), (1.0, through_odds)])
    scale = float(frame.scale[y])
    off = [linear([(1.0, each)], -centre) for each, centre in zip(whole.columns[:wide], target.tolist(), strict=True)]
    last = yield Ask(
        rows=whole.rows, sums=tuple(times(outside, each, each) for each in off),
        scores=(linear([(scale, contributions)]),), weight=whole.weight,
    )  # fmt: skip
    clustering = tables.clustering(whole.rows)
    uncertainty = influence_error(last.scores[0], clustering, tables.settings, name="M-estimation", arms=False)
    uncertainty = allowing_for_clusters(uncertainty, clustering.by_arm, tables.settings)
    spread = np.sqrt(last.sums / mass)
    before = target - second.sums[2 + wide : 2 + 2 * wide] / second.sums[2 + wide]
    after = target - second.sums[2 : 2 + wide] / second.sums[2]
    differences = _differences(whole, spread, np.stack([before, after]))
    represented = Represented(
        source_rows=frame.n,
        target_rows=whole.n - frame.n,
        by_arm=(arms[0], arms[1]),
        effective=float(second.sums[0] ** 2 / second.sums[1]),
        largest_share=float(second.largest[0] / second.sums[0]),
        differences=differences,
        propensity_known=found.treatment is None,
    )
    warnings = represented.warnings(
        coefficients=k,
        clustered=tables.pilot.has("cluster"),
        weighted=use != "outcomes",
        unseen=[label for label in frame.dropped if label not in whole.dropped],
        fits=(*found.belonging.warnings, *(() if found.treatment is None else found.treatment.warnings)),
    )
    return reported(
        EstimateId(_NAMES[use], "transport", "target ATE"), tables, whole,
        float(values[1] - values[0] + mean) * scale, uncertainty, rows=None,
        n_effective=tables.effective(whole) if use == "outcomes" else represented.effective,
        diagnostics=represented.details(),
        notes=frame.notes, warnings=(*warnings, *doubts),
    )  # fmt: skip


def _differences(whole: SummedFrame, spread: Vector, apart: Matrix) -> dict[str, tuple[float | None, float | None]]:
    found: dict[str, tuple[float | None, float | None]] = {}
    for place in range(1, whole.at["x"].stop):
        varies = spread[place] > _ROUNDING
        pair = [finite(float(each[place] / spread[place])) if varies else None for each in apart]
        found[whole.labels[place]] = (pair[0], pair[1])
    return found
