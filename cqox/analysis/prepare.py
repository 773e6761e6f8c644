"""Preparation of the estimators' arrays from a table and a mapping, one set per contrast of the treatment.

Errors that need the data are raised here: a constant treatment, dates compared with numbers, no positive weight. Those
visible from names are raised in `cqox.analysis.mapping`, and `cqox.analysis.roles` converts the column of each role.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cqox.analysis.categories import with_categories
from cqox.analysis.designs import check_scales, design_roles, scalar
from cqox.analysis.expected_shares import planned_shares
from cqox.analysis.fold_keys import fold_keys
from cqox.analysis.levels import Levels, treatment_levels
from cqox.analysis.mapping import check_exact, names_in
from cqox.analysis.missing import with_indicators
from cqox.analysis.roles import (
    Columns,
    Covariates,
    Rows,
    binary,
    covariate_matrix,
    group_codes,
    is_category,
    level_names,
    numeric,
    period_codes,
    probability,
)
from cqox.analysis.row_hash import row_hashes
from cqox.analysis.time_roles import cohort_column, time_column, timing_notes, with_months
from cqox.contract import ROLES, Options, RoleMapping
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, UnusableData
from cqox.estimators.data import Data, Vector

__all__ = ["Contrast", "Prepared", "prepare", "started"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One comparison: a level of the treatment with the reference level, or the treatment as an amount.

    Attributes:
        label: the levels compared, None for a single comparison.
        data: the rows of the comparison.
        expected_share: the planned share of the level among the rows of the comparison; None where none was planned.
        compared: the reference and the level, as texts; None for an amount, or without a column of the treatment.
        of_other_levels: rows that are left out because they have another level of the treatment, or none.
        of_zero_weight: rows of these levels that are left out because their weight is 0.
    """

    label: str | None
    data: Data
    expected_share: float | None = None
    compared: tuple[str, str] | None = None
    of_other_levels: int = 0
    of_zero_weight: int = 0

    def options(self, options: Options) -> Options:
        """Return the options with the planned share of this contrast in place of those of all levels."""
        return options.model_copy(update={"expected_share": self.expected_share})


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request as numeric arrays.

    Attributes:
        contrasts: at least one.
        notes: choices made by rule.
    """

    contrasts: tuple[Contrast, ...]
    notes: tuple[Message, ...]


def prepare(frame: Rows, columns: Columns, roles: RoleMapping, options: Options) -> Prepared:
    """Return the arrays of each contrast.

    Args:
        frame: the mapped columns.
        columns: description of every column of the table, by name.
        roles: canonical role to mapped columns or value.
        options: the request's options.

    Raises:
        InvalidRequest: a column cannot play its role, dates would be compared with numbers, or an option names a column
            that does not exist.
        UnusableData: the outcome or the treatment does not vary, or no row has a positive weight.
    """
    notes: list[Message] = []
    check_exact(options, roles)
    columns = with_categories(frame, columns, roles, options.categorical, notes)
    check_scales(frame, roles)
    roles = with_months(frame, roles)
    notes += timing_notes(frame, roles)
    y = _outcome(frame, columns, roles, notes)
    levels = _treatment(frame, columns, roles, options)
    notes += levels.notes
    base = _base(frame, columns, roles, y, options, notes)
    counting = _counting(base, notes)
    shares = planned_shares(options.expected_share, levels, by_instrument="instrument" in roles)
    contrasts = []
    for level, share in zip(levels.contrasts, shares, strict=True):
        data = replace(base, treatment=level.values, treatment_kind=levels.kind)
        rows = [mask for mask in (level.rows, counting) if mask is not None]
        if rows:
            data = data.rows(np.flatnonzero(np.logical_and.reduce(rows)))
        others = 0 if level.rows is None else base.n - int(level.rows.sum())
        contrast = Contrast(
            label=level.label, data=data, expected_share=share, compared=level.compared, of_other_levels=others,
            of_zero_weight=base.n - others - data.n,
        )  # fmt: skip
        contrasts.append(contrast)
    return Prepared(contrasts=tuple(contrasts), notes=tuple(notes))


def _outcome(frame: Rows, columns: Columns, roles: RoleMapping, notes: list[Message]) -> Vector | None:
    role = next((role for role in ("y", "reward") if role in roles), None)
    if role is None:
        notes.append(Message("analysis.no-outcome-mapped"))
        return None
    series = frame[str(roles[role])]
    y = numeric(series, role=role) if series.dtype.is_numeric() else binary(series, role=role, notes=notes)
    # The rows of the frame may be a sample.
    described = columns.get(series.name)
    _refuse_constant(y, series.name, rows=None if described is None else described.count)
    return y


def _treatment(frame: Rows, columns: Columns, roles: RoleMapping, options: Options) -> Levels:
    if "treatment" in roles or "dose" in roles:
        role = "treatment" if "treatment" in roles else "dose"
        name = str(roles[role])
        return treatment_levels(
            frame[name],
            amount=role == "dose" or "instrument" in roles,
            category=role == "treatment" and is_category(columns, name),
            reference=options.reference_level,
        )
    if {"time", "cohort"} <= roles.keys():
        note = Message("analysis.treatment-from-cohort", time=roles["time"], cohort=roles["cohort"])
        return Levels.single(started(frame, roles), kind="binary", notes=(note,))
    return Levels.single(None, kind="none", notes=())


def started(frame: Rows, roles: RoleMapping) -> Vector:
    """Return (n,) 1 from the period in which a unit's treatment starts, else 0; NaN if the period is missing.

    Args:
        frame: the columns of `time` and `cohort`, at least.
        roles: canonical role to mapped columns or value, these two among them.
    """
    time, cohort = numeric(time_column(frame, roles), role="time"), _cohort(frame, roles)
    assert cohort is not None
    values = np.where(np.isnan(cohort), 0.0, (time >= cohort).astype(np.float64))
    values[np.isnan(time)] = np.nan
    return values


def _cohort(frame: Rows, roles: RoleMapping) -> Vector | None:
    if "cohort" not in roles:
        return None
    series = cohort_column(frame, roles)
    cohort = numeric(series, role="cohort")
    # Some data sets code never-treated units as 0; dates are days since 1970, and negative days are valid dates.
    never = ~np.isfinite(cohort) if series.dtype.is_temporal() else (cohort <= 0) | ~np.isfinite(cohort)
    return np.where(never, np.nan, cohort)


def _base(
    frame: Rows, columns: Columns, roles: RoleMapping, y: Vector | None, options: Options, notes: list[Message]
) -> Data:
    names = {role: names_in(mapped) for role, mapped in roles.items() if ROLES[role].arity != "scalar"}

    def adjusting(role: str) -> Covariates:
        found = covariate_matrix(frame, columns, names.get(role, ()), role=role, notes=notes)
        return with_indicators(found, role=role, notes=notes) if options.missing == "indicator" else found

    covariates = adjusting("covariates")
    propensity = adjusting("propensity_covariates") if "propensity_covariates" in names else covariates
    instruments = covariate_matrix(frame, columns, names.get("instrument", ()), role="instrument", notes=notes)
    if "unit_id" not in roles:
        notes.append(Message("analysis.no-unit-id"))
    periods = period_codes(time_column(frame, roles)) if "time" in roles else None
    post = binary(frame[str(roles["post"])], role="post", notes=notes) if "post" in roles else None
    if post is None and periods is not None and "intervention_time" in roles:
        start = scalar(roles, "intervention_time")
        assert start is not None
        post = _after(periods.values[periods.codes], start)
        notes.append(Message("analysis.post-from-time", time=roles["time"], start=_plain(roles["intervention_time"])))
    unit = group_codes(frame[str(roles["unit_id"])]) if "unit_id" in roles else None
    absorbed = [*covariates.absorbed, *(frame[name] for name in names.get("fixed_effects", ()))]
    labels = {
        **names,
        "covariates": covariates.labels,
        "propensity_covariates": propensity.labels,
        "instrument": instruments.labels,
        "fixed_effects": tuple(series.name for series in absorbed),
    }
    if "dose" in labels:
        # A dose without a treatment is the treatment.
        labels.setdefault("treatment", labels["dose"])
    row_key = row_hashes(frame, roles)
    return Data(
        n=frame.height,
        y=np.full(frame.height, np.nan) if y is None else y,
        y_kind="none" if y is None else _y_kind(y),
        covariates=covariates.matrix,
        propensity_covariates=propensity.matrix,
        pscore=probability(frame, roles),
        instruments=instruments.matrix,
        unit=unit,
        unit_labels=None if unit is None or periods is None else level_names(frame[str(roles["unit_id"])], unit),
        time=None if periods is None else periods.codes,
        time_values=None if periods is None else periods.values,
        time_labels=None if periods is None else periods.labels,
        post=post,
        cohort=_cohort(frame, roles),
        clusters=tuple(group_codes(frame[name]) for name in names.get("cluster", ())),
        weights=_weights(frame, roles),
        fixed_effects=tuple(group_codes(series) for series in absorbed),
        **design_roles(frame, columns, roles, notes),
        row_key=row_key,
        fold_key=fold_keys(frame, roles, row_key),
        names={role: value for role, value in labels.items() if value},
    )


def _after(time: Vector, start: float) -> Vector:
    return np.where(np.isnan(time), np.nan, (time >= start).astype(np.float64))


def _plain(given: object) -> str:
    return str(int(given)) if isinstance(given, float) and given.is_integer() else str(given)


def _weights(frame: Rows, roles: RoleMapping) -> Vector | None:
    if "weights" not in roles:
        return None
    weights = numeric(frame[str(roles["weights"])], role="weights")
    wrong = int(np.sum(weights < 0))
    if wrong:
        raise InvalidRequest(
            Message("analysis.negative-weights", rows=wrong, weights=roles["weights"]),
            field="mapping.weights",
        )
    if not (weights > 0).any():
        raise UnusableData(Message("analysis.no-positive-weight", weights=roles["weights"]), field="mapping.weights")
    return weights


def _counting(data: Data, notes: list[Message]) -> NDArray[np.bool_] | None:
    """Return (n,) the mask of rows with a nonzero weight; None if all are."""
    if data.weights is None:
        return None
    counting: NDArray[np.bool_] = data.weights != 0
    count = data.n - int(counting.sum())
    if not count:
        return None
    notes.append(Message("analysis.zero-weights", rows=count))
    return counting


def _y_kind(y: Vector) -> Literal["binary", "count", "real"]:
    known = y[~np.isnan(y)]
    if np.isin(known, (0.0, 1.0)).all():
        return "binary"
    if (known >= 0).all() and (known == np.floor(known)).all():
        return "count"
    return "real"


def _refuse_constant(values: Vector, name: str, *, rows: int | None) -> None:
    known = values[~np.isnan(values)]
    if known.size == 0:
        raise UnusableData(Message("analysis.outcome-without-value", outcome=name), field="mapping.y")
    if known.min() == known.max():
        raise UnusableData(
            Message("analysis.outcome-constant", outcome=name, value=known[0], rows=rows or known.size),
            field="mapping.y",
        )
