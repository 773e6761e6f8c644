"""Difference in differences: two groups in two periods, block designs, and two-way fixed effects.

All assume parallel trends and no anticipation. Two-way fixed effects also assume a homogeneous effect: with
heterogeneous effects and staggered adoption it is a weighted sum of effects with some negative weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.inference.arm_sizes import arm_codes_over_time
from cqox.estimators.inference.least_squares import check_identified, focus, regress
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    make_estimate,
    no_absorbing,
    only_panel_effects,
    two_arms,
    varying_outcome,
)
from cqox.estimators.inference.refit import without_each_cluster
from cqox.estimators.inference.standard_errors import Uncertainty, regression_se
from cqox.estimators.numerics.absorb import compress
from cqox.estimators.numerics.frame import Frame, build_frame
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample, listed

__all__ = [
    "CELLS", "ESTIMATORS", "MOST_NEGATIVE", "REPEATED_CELLS", "few_rows_in_cells", "refuse_single_rows",
    "two_way_sample",
]  # fmt: skip

_FAMILY = "did"
_FEW_ROWS = 10
MOST_NEGATIVE = 0.05
"""Sum of negative weights from which they are a warning: less of it moves no estimate by as much as 5% of an effect."""
REPEATED_CELLS = "repeated cells"
"""Key under which a plan shares, for a sample, the reason that a unit has several rows in one period, or None."""
CELLS: Mapping[str, Message] = {
    "untreated before": Message("panel.untreated-before"),
    "untreated after": Message("panel.untreated-after"),
    "treated before": Message("panel.treated-before"),
    "treated after": Message("panel.treated-after"),
}
"""Cells of two groups in two periods by their keys in the diagnostics; the position is 2 * treated + post."""


def _two_by_two(plan: Plan) -> Estimate:
    sample = _two_by_two_sample(plan)
    if sample.n == len(CELLS) and not plan.has("covariates"):
        return _four_rows(plan, sample)
    post = sample.scatter(sample.take(_mapped(plan.data.post)), np.nan)
    return _four_cells(plan, EstimateId("did_2x2", _FAMILY, "ATT"), sample, _mapped(plan.data.treatment), post, {}, ())


def _four_rows(plan: Plan, sample: Sample) -> Estimate:
    """Return the difference in differences of one row per cell, whose error variance is not identified."""
    cells = (2 * plan.treated(sample) + sample.take(_mapped(plan.data.post))).astype(np.int64)
    means = np.zeros(len(CELLS))
    means[cells] = sample.take(plan.data.y)
    doubt = Message("panel.one-row-per-cell")
    return make_estimate(
        EstimateId("did_2x2", _FAMILY, "ATT"), plan, sample, float(means[3] - means[2] - means[1] + means[0]), None,
        Uncertainty(standard_error=None, method="none", degrees=None, warnings=(doubt,)),
        diagnostics={
            "cell_means": dict(zip(CELLS, means.tolist(), strict=True)), "cell_rows": dict.fromkeys(CELLS, 1),
        },
    )  # fmt: skip


def _two_by_two_sample(plan: Plan) -> Sample:
    return plan.sample("y", "treatment", "post", "covariates")


def _mapped(array: Vector | None) -> Vector:
    return np.empty(0) if array is None else array


def _four_cells(
    plan: Plan,
    identity: EstimateId,
    sample: Sample,
    group: Vector,
    post: Vector,
    diagnostics: dict[str, Json],
    warnings: Sequence[Message],
) -> Estimate:
    """Estimate the interaction in a regression on (total,) group, period, their product and the covariates."""
    product = group * post
    frame = build_frame(
        sample,
        {
            "x": (plan.data.covariates, plan.labels("covariates")) if plan.has("covariates") else (_none(plan), ()),
            "group": (group[:, None], ("group",)),
            "post": (post[:, None], ("post",)),
            "t": (product[:, None], ("group x post",)),
            "y": (plan.data.y[:, None], ("y",)),
        },
        weights=plan.data.weights,
        block=plan.settings.chunk_rows,
        threads=plan.settings.threads,
    )
    columns = [*range(frame.at["x"].stop), frame.column("group"), frame.column("post"), frame.column("t")]
    regressors = np.asarray(columns, dtype=np.intp)
    check_identified(frame, regressors, Message("panel.difference-in-differences"))
    contrast = np.zeros(len(regressors))
    contrast[-1] = 1.0
    fit = regress(frame, regressors, contrast, arm_codes=sample.take(group))
    clusters = plan.clusters(sample)
    uncertainty = regression_se(fit, clusters, plan.settings)
    cells, y = (2 * sample.take(group) + sample.take(post)).astype(np.int64), sample.take(plan.data.y)
    weights = plan.weights(sample)
    mass = np.bincount(cells, weights, 4)
    means = np.bincount(cells, y if weights is None else y * weights, 4) / mass
    rows = dict(zip(CELLS, np.bincount(cells, minlength=4).tolist(), strict=True))
    diagnostics = {
        "cell_means": dict(zip(CELLS, means.tolist(), strict=True)),
        "cell_rows": dict[str, Json](rows),
        **diagnostics,
    }
    return make_estimate(
        identity, plan, sample, fit.value, fit.contributions, uncertainty,
        diagnostics=diagnostics, notes=frame.notes,
        warnings=(*warnings, *(() if clusters.codes else few_rows_in_cells(rows))),
    )  # fmt: skip


def few_rows_in_cells(rows: Mapping[str, int]) -> list[Message]:
    """Return a warning for each cell with few rows."""
    return [
        Message("panel.few-rows-in-cell", rows=count, cell=CELLS[name])
        for name, count in rows.items()
        if count < _FEW_ROWS
    ]


def _none(plan: Plan) -> Matrix:
    return np.empty((plan.data.n, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A block design: all treated units start together and stay treated.

    Attributes:
        treated: (units,) True if a unit is ever treated.
        start: code of the first treated period.
        unbalanced: True if some unit misses some period.
    """

    treated: Vector
    start: int
    unbalanced: bool


def _block_design(plan: Plan, sample: Sample) -> _Block | Message:
    """Return the block design of a sample, or the reason why it is none."""
    unit, units = compress(sample.take(_coded(plan.data.unit)))
    time = sample.take(_coded(plan.data.time))
    status = plan.treated(sample)
    treated = np.bincount(unit, status, units) > 0
    if treated.all():
        return Message("panel.no-never-treated")
    starts = np.full(units, np.iinfo(np.int64).max)
    np.minimum.at(starts, unit[status > 0], time[status > 0])
    start = int(starts.min())
    if (starts[treated] != start).any():
        return Message("panel.several-starts-see-twfe")
    if (status != (treated[unit] & (time >= start))).any():
        return Message("panel.treatment-ends")
    if not (treated[unit] & (time < start)).any():
        if plan.has("post"):
            return Message("panel.treatment-constant-within-units", treatment=plan.label("treatment"))
        return Message("panel.no-unit-before-treatment")
    periods = compress(time)[1]
    return _Block(treated=treated.astype(np.float64), start=start, unbalanced=sample.n < units * periods)


def _coded(codes: Codes | None) -> Codes:
    return np.empty(0, dtype=np.int64) if codes is None else codes


def _block_sample(plan: Plan) -> Sample:
    return plan.sample("y", "treatment", "unit_id", "time", "covariates")


def _two_by_two_block(plan: Plan) -> Estimate:
    sample = _block_sample(plan)
    design = _block_design(plan, sample)
    if isinstance(design, Message):
        raise AssertionError(design)
    unit, _ = compress(sample.take(_coded(plan.data.unit)))
    group = sample.scatter(design.treated[unit], np.nan)
    post = sample.scatter((sample.take(_coded(plan.data.time)) >= design.start).astype(np.float64), np.nan)
    values = plan.data.time_values
    diagnostics: dict[str, Json] = {
        "first_treated_period": float(values[design.start]) if values is not None else design.start,
        "treated_units": int(design.treated.sum()),
        "untreated_units": int((design.treated == 0).sum()),
    }
    warnings = (Message("panel.groups-change"),) if design.unbalanced else ()
    return _four_cells(plan, EstimateId("did_2x2_block", _FAMILY, "ATT"), sample, group, post, diagnostics, warnings)


def two_way_sample(plan: Plan) -> Sample:
    """Return the rows of two-way fixed effects."""
    return plan.sample("y", "treatment", "unit_id", "time", "covariates", "fixed_effects")


def _two_way(plan: Plan) -> Estimate:
    sample, data = two_way_sample(plan), plan.data
    _check_repeated(plan, sample)
    effects = (_coded(data.unit), _coded(data.time), *data.fixed_effects)
    frame = plan.frame("xty", sample, effects)
    regressors = focus(frame, "t", Message("inference.the-treatment-named", treatment=plan.label("treatment")))
    contrast = np.zeros(len(regressors))
    contrast[-1] = 1.0
    clusters, status = plan.clusters(sample), plan.treated(sample)
    binary = data.treatment_kind == "binary"
    arm_codes = arm_codes_over_time(plan, sample, staggered=False)
    fit = regress(frame, regressors, contrast, clusters=clusters.codes, arm_codes=arm_codes)
    fit = replace(fit, jackknife=partial(without_each_cluster, plan, sample, effects))
    uncertainty = regression_se(fit, clusters, plan.settings)
    levels: list[Json] = list(frame.absorbed.levels) if frame.absorbed is not None else []
    diagnostics: dict[str, Json] = {"parameters": fit.parameters, "levels_absorbed": levels}
    warnings, notes = list[Message](), list(frame.notes)
    if binary:
        share, total = _negative_weights(frame, regressors, status)
        diagnostics["negative_weight_share"], diagnostics["negative_weight_sum"] = share, total
        if share > 0:
            said = warnings if abs(total) > MOST_NEGATIVE else notes
            said.append(Message("panel.negative-weights", share=share, total=total))
    return make_estimate(
        EstimateId("twfe", _FAMILY, "ATT"), plan, sample, fit.value, fit.contributions, uncertainty,
        diagnostics=diagnostics, notes=notes, warnings=warnings,
    )  # fmt: skip


def _check_repeated(plan: Plan, sample: Sample) -> None:
    unit, units = compress(sample.take(_coded(plan.data.unit)))
    _, periods = compress(sample.take(_coded(plan.data.time)))
    once = int(np.count_nonzero(np.bincount(unit) == 1))
    refuse_single_rows(rows=sample.n, units=units, periods=periods, once=once, unit_id=plan.label("unit_id"))


def refuse_single_rows(*, rows: int, units: int, periods: int, once: int, unit_id: str) -> None:
    """Refuse a panel with nearly all units observed once: unit and period effects then leave no degrees of freedom.

    This is not an applicability rule: the mapping claims that units are followed, and no other estimate should replace
    it.

    Args:
        rows: number of rows.
        units: number of units.
        periods: number of periods.
        once: number of units with one row.
        unit_id: name of the column of units.

    Raises:
        UnusableData: more than half of the units are observed once, and there are no more rows than units and periods.
    """
    if rows <= units + periods and 2 * once > units:
        raise UnusableData(
            Message("panel.units-observed-once", rows=rows, units=units, periods=periods, unit_id=unit_id)
        )


def _negative_weights(frame: Frame, regressors: NDArray[np.intp], status: Vector) -> tuple[float, float]:
    """Return the share of treated rows with a negative weight in the estimate, and the sum of these weights (total
    1)."""
    t, others = regressors[-1], regressors[:-1]
    residual = frame.matrix[t].copy()
    if len(others):
        slopes = np.linalg.solve(frame.products[np.ix_(others, others)], frame.products[others, t])
        residual -= slopes @ frame.matrix[others]
    if frame.weights is not None:
        residual *= frame.weights
    weights = residual[status > 0] / residual[status > 0].sum()
    negative = weights < -1e-12
    return float(negative.mean()), float(weights[negative].sum())


def _two_by_two_rule(plan: Plan) -> Message | None:
    sample = _two_by_two_sample(plan)
    reason = no_absorbing(plan) or two_arms(plan, sample)
    if reason is not None:
        return reason
    post = sample.take(_mapped(plan.data.post))
    if not np.isin(post, (0.0, 1.0)).all():
        return Message("panel.post-not-binary", post=plan.label("post"))
    cells = np.bincount((2 * plan.treated(sample) + post).astype(np.int64), minlength=4)
    empty = [cell for cell, rows in zip(CELLS.values(), cells, strict=True) if rows == 0]
    if empty:
        return Message("panel.empty-cells", cells=empty)
    return None


def _repeated_cells(plan: Plan, sample: Sample) -> Message | None:
    """Return a reason if a unit has several rows in one period."""
    return plan.share(REPEATED_CELLS, lambda: _repeated(plan, sample), sample)


def _repeated(plan: Plan, sample: Sample) -> Message | None:
    unit, time = sample.take(_coded(plan.data.unit)), sample.take(_coded(plan.data.time))
    cells = unit * (int(time.max(initial=0)) + 1) + time
    order = np.argsort(cells, kind="stable")
    repeats = np.flatnonzero(np.diff(cells[order]) == 0)
    if not len(repeats):
        return None
    rows = sorted(order[repeats + 1].tolist())
    numbers = [str(int(row if sample.index is None else sample.index[row]) + 1) for row in rows]
    return Message("panel.repeated-rows-or-fixed-effects", rows=listed(numbers))


def _block_rule(plan: Plan) -> Message | None:
    sample = _block_sample(plan)
    reason = only_panel_effects(plan, sample) or two_arms(plan, sample) or _repeated_cells(plan, sample)
    if reason is not None:
        return reason
    design = _block_design(plan, sample)
    return design if isinstance(design, Message) else None


def _twfe_rule(plan: Plan) -> Message | None:
    sample = two_way_sample(plan)
    binary = plan.data.treatment_kind == "binary"
    reason = two_arms(plan, sample) if binary else varying_outcome(plan, sample)
    if reason is None and compress(sample.take(_coded(plan.data.unit)))[1] == sample.n:
        return Message("panel.single-rows-unit-effects", unit_id=plan.label("unit_id"))
    return reason or _repeated_cells(plan, sample)


_ERROR = "CRV1 with t(G-1), by unit where no cluster is mapped; CRV3 with few clusters"
_PANEL_LAWS = CROSS_SECTION_LAWS - {"half_weights", "flip_treatment"}

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="did_2x2",
        family=_FAMILY,
        estimand="ATT",
        summary="Change of the treated group less change of the untreated group; without treatment both would have "
        "moved in parallel.",
        requires=("y", "treatment", "post"),
        optional=("covariates", "unit_id", "weights", "cluster"),
        standard_error="HC1, HC3 under 250 rows; CRV1 with t(G-1) when clustered or where units repeat",
        paper="Ashenfelter and Card 1985; Angrist and Pischke 2009, equation 5.2.3",
        checked_against="statsmodels OLS",
        laws=CROSS_SECTION_LAWS,
        rule=_two_by_two_rule,
        compute=_two_by_two,
    ),
    Estimator(
        name="did_2x2_block",
        family=_FAMILY,
        estimand="ATT",
        summary="The same for a panel that shows the start of treatment: all treated units start together and stay "
        "treated; parallel trends without treatment.",
        requires=("y", "treatment", "unit_id", "time"),
        optional=("covariates", "weights", "cluster"),
        standard_error=_ERROR,
        paper="Arkhangelsky et al. 2021, American Economic Review 111, equation 2",
        doi="10.1257/aer.20190159",
        checked_against="synthdid (its difference in differences)",
        laws=_PANEL_LAWS,
        rule=_block_rule,
        compute=_two_by_two_block,
    ),
    Estimator(
        name="twfe",
        family=_FAMILY,
        estimand="ATT",
        summary="Coefficient of the treatment with unit and period effects; parallel trends, and one effect for all.",
        requires=("y", "treatment", "unit_id", "time"),
        optional=("covariates", "fixed_effects", "weights", "cluster"),
        standard_error=_ERROR,
        paper="Wooldridge 2010, section 10.5; weights: de Chaisemartin and D'Haultfœuille 2020, theorem 1",
        doi="10.1257/aer.20181169",
        checked_against="fixest feols, pyfixest",
        laws=_PANEL_LAWS | {"flip_treatment", "scale_treatment"},
        treatment=frozenset({"binary", "continuous"}),
        rule=_twfe_rule,
        compute=_two_way,
    ),
)
