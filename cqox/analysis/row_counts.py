"""Rows that an estimator uses of a contrast, and why the others are left out; nothing is estimated.

The rows are the `n` of the estimate in the report. Where an estimator lays its rows out before it computes, as panels
do, the same layout is asked.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.contract.preview import DroppedRows, PreviewedRows
from cqox.errors import UnusableData
from cqox.estimators import Estimator, Plan, Sample
from cqox.estimators.panel.block_panel import BlockPanel, block_panel
from cqox.estimators.panel.layout import staggered_panel
from cqox.estimators.panel.repeated_cross_sections import are_sections, sections
from cqox.estimators.sample import ROLE_ARRAYS, complete_rows, role_arrays

__all__ = ["counted_rows", "rows_of"]

type _Mask = NDArray[np.bool_]

_BY_PROPENSITY = ("stratification", "weighting", "matching")
"""Families that need no covariates but those of the treatment, and none where its probability is known."""

_WITH_OUTCOMES = ("doubly_robust", "double_ml", "meta_learners", "causal_forest")
"""Families that model the outcome too; a known probability replaces the covariates of the treatment."""

_WITHOUT = {"panel_matching": ("covariates",), "did_staggered": ("cohort",), "interrupted_series": ("unit_id",)}
"""Roles of a family without which a row is still used; a unit without a cohort is never treated."""


def rows_of(entry: Estimator | None, plan: Plan) -> Sample:
    """Return the rows that an estimator uses.

    Args:
        entry: the estimator; None for the rows with an outcome and a treatment.
        plan: of the contrast.
    """
    sample = _complete(entry, plan)
    if entry is None:
        return sample
    if entry.family == "synthetic_control":
        panel = block_panel(plan)
        return _in_block(plan, panel) if isinstance(panel, BlockPanel) else sample
    if entry.family == "did_staggered":
        try:
            return (sections if are_sections(plan) else staggered_panel)(plan).sample
        except UnusableData:
            return sample
    return sample


def counted_rows(entry: Estimator | None, plan: Plan, before: Sequence[DroppedRows], *, read: int) -> PreviewedRows:
    """Return the rows that an estimator uses, and why the others are left out.

    Args:
        entry: the estimator, or None.
        plan: of the contrast.
        before: what was left out before the contrast's arrays were made.
        read: rows of the table.
    """
    kept, complete = rows_of(entry, plan), _complete(entry, plan)
    reasons = [*before, *_missing(_roles(entry, plan), plan)]
    if kept.n < complete.n:
        rows = complete.n - kept.n
        reasons.append(
            DroppedRows(code="layout", rows=rows, alone=rows, message=Message("preview.rows-of-layout", rows=rows))
        )
    return PreviewedRows(read=read, kept=kept.n, dropped=read - kept.n, reasons=reasons)


def _complete(entry: Estimator | None, plan: Plan) -> Sample:
    if entry is None or entry.family != "transport":
        return plan.sample(*_roles(entry, plan))
    masks = [mask for _, _, mask in _masks(_roles(entry, plan), plan)]
    index = np.flatnonzero(np.logical_and.reduce(masks)) if masks else np.arange(plan.data.n)
    return Sample(total=plan.data.n, n=len(index), index=index)


def _roles(entry: Estimator | None, plan: Plan) -> list[str]:
    """Return the mapped roles whose values each row must have."""
    if entry is None:
        return ["y", "treatment"]
    data, without = plan.data, set(_WITHOUT.get(entry.family, ()))
    known = plan.has("pscore") and "pscore" in entry.optional
    if known and entry.family in (*_BY_PROPENSITY, *_WITH_OUTCOMES):
        without |= {"propensity_covariates"}
    if entry.family in _BY_PROPENSITY and entry.name.partition("_")[0] != "nn":
        without |= {"covariates"}
    if entry.family == "interference" and entry.name != "spatial_ols":
        without |= {"covariates"}
    if entry.family == "did_staggered":
        without |= {"treatment", "post"} if data.cohort is not None else set()
        without |= {"unit_id"} if are_sections(plan) else set()
    if entry.family == "interrupted_series" and data.intervention_time is not None:
        without |= {"post", "treatment"}
    given = (*entry.requires, *entry.optional)
    return [role for role in dict.fromkeys(given) if role in ROLE_ARRAYS and role not in without]


def _in_block(plan: Plan, panel: BlockPanel) -> Sample:
    """Return the rows of the units and periods of a block."""
    data = plan.data
    sample = plan.sample("y", "treatment", "unit_id", "time", "post")
    assert data.unit is not None
    assert data.time is not None
    unit, time = sample.take(data.unit), sample.take(data.time)
    places = time.astype(np.float64) if data.time_values is None else data.time_values[time]
    inside = np.isin(unit, np.concatenate([panel.treated_units, panel.donor_units])) & np.isin(places, panel.times)
    rows = np.flatnonzero(inside)
    index = rows if sample.index is None else sample.index[rows]
    return Sample(total=data.n, n=len(index), index=index)


def _missing(roles: Sequence[str], plan: Plan) -> list[DroppedRows]:
    """Return the rows without a value, by role and column; a category is one column."""
    masks = list(_masks(roles, plan))
    reasons = np.zeros(plan.data.n, dtype=np.int64)
    for _, _, complete in masks:
        reasons += ~complete
    found = []
    for role, column, complete in masks:
        if complete.all():
            continue
        rows, alone = int((~complete).sum()), int((~complete & (reasons == 1)).sum())
        message = Message("preview.rows-without-value", rows=rows, role=role, column=column)
        found.append(
            DroppedRows(
                code="missing_value", role=role, columns=[column] if column else [], rows=rows, alone=alone,
                message=message,
            )
        )  # fmt: skip
    return found


def _masks(roles: Sequence[str], plan: Plan) -> Iterator[tuple[str, str, _Mask]]:
    """Yield role, column and the (n,) rows with a value, of each column that lacks some."""
    data, seen = plan.data, set[int]()
    always = ("weights", "cluster", *(("unit_id",) if plan.clusters_are_units else ()))
    for role in dict.fromkeys((*roles, *always)):
        for place, array in enumerate(role_arrays(data, role)):
            if id(array) in seen or complete_rows([array], data.n) is None:
                continue
            seen.add(id(array))
            for column, complete in _by_column(role, place, array, plan).items():
                yield role, column, _in_source(complete, role, roles, plan)


def _by_column(role: str, place: int, array: NDArray[np.generic], plan: Plan) -> Mapping[str, _Mask]:
    """Return the (n,) rows with a value by column; columns of one category, or of one role, together."""
    n = plan.data.n
    if array.ndim == 1:
        names = plan.data.names.get(role, ())
        complete = complete_rows([array], n)
        assert complete is not None
        return {names[min(place, len(names) - 1)] if names else "": complete}
    found: dict[str, _Mask] = {}
    for label, values in zip(plan.labels(role), array.T, strict=True):
        complete = complete_rows([values], n)
        name = label.partition("=")[0]
        if complete is not None:
            found[name] = found[name] & complete if name in found else complete
    return found


def _in_source(complete: _Mask, role: str, roles: Sequence[str], plan: Plan) -> _Mask:
    """Return the rows that need a value and have it: outside of the source, outcome and treatment are not needed."""
    source = plan.data.in_source
    if source is None or "sample" not in roles or role not in ("y", "treatment", "pscore"):
        return complete
    return np.asarray(complete | (source == 0), dtype=np.bool_)
