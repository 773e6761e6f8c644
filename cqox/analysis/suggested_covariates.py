"""Suggested covariates: columns without a role that could be adjusted for, and reasons to exclude the others.

`cqox.datasets` judges names and kinds; this module judges values. A constant column, or a copy of the outcome or the
treatment in other units or on another scale, is excluded.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from cqox.analysis.designs import check_scales, scalar
from cqox.analysis.mapping import columns_of
from cqox.analysis.prepare import started
from cqox.analysis.redundant_columns import Sampled, redundancy, sampled
from cqox.analysis.roles import numeric
from cqox.contract import RoleMapping
from cqox.contract.messages import Message
from cqox.datasets import Column, ColumnsOnDisk, Inference, infer_roles

__all__ = ["Candidates", "covariate_candidates", "drop_redundant_covariates"]

_CELLS = 2_000_000
"""Number of cells read at once."""

_CONSTANT = Message("analysis.constant")
_OUTCOMES = ("y", "reward")
_REFERENCES = (*_OUTCOMES, "treatment", "dose", "action")
"""Roles that a covariate must not duplicate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Columns that could be covariates.

    Attributes:
        names: the suggested columns.
        excluded: reason of exclusion to its columns, each with the evidence in parentheses if it differs between them.
    """

    names: tuple[str, ...]
    excluded: Mapping[Message, Sequence[str]]

    def notes(self, verb: Literal["suggested", "taken"]) -> list[Message]:
        """Return a sentence for each reason, such as `Not suggested as covariates, constant: flat.`"""
        if verb == "taken":
            return [
                Message("analysis.not-taken", reason=reason, columns=names) for reason, names in self.excluded.items()
            ]
        return [
            Message("analysis.not-suggested", reason=reason, columns=names) for reason, names in self.excluded.items()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    """Values that a covariate must not duplicate.

    Attributes:
        words: reason of exclusion given in the notes.
        rows: the sampled rows.
    """

    words: Message
    rows: Sampled


def covariate_candidates(table: ColumnsOnDisk, columns: Sequence[Column], roles: RoleMapping) -> Candidates:
    """Return the columns without a role that could be covariates; none if covariates are mapped or no outcome is.

    Excluded with a reason are constant columns, copies of the outcome or the treatment (a correlation above 0.999 of
    values or of ranks, or the same levels under other labels), and in a panel columns that are constant within every
    unit: unit effects absorb them, and they may encode when a unit is treated.

    Args:
        table: the table, as stored by `cqox.datasets`.
        columns: all of its columns.
        roles: canonical role to mapped columns or value.

    Raises:
        InvalidRequest: of two columns that are compared, one contains dates and the other numbers.
    """
    if "covariates" in roles or not {"y", "reward"} & roles.keys():
        return Candidates(names=(), excluded={})
    taken = set(columns_of(roles))
    excluded: dict[Message, list[str]] = {}
    for column in columns:
        if column.name not in taken and column.distinct <= 1:
            excluded.setdefault(_CONSTANT, []).append(column.name)
    suggested = infer_roles(columns).mapping.get("covariates", ())
    free = [name for name in ([suggested] if isinstance(suggested, str) else suggested) if name not in taken]
    if not free:
        return Candidates(names=(), excluded=excluded)
    unit = str(roles["unit_id"]) if {"unit_id", "time"} <= roles.keys() else None
    references = _references(table, roles)
    names: list[str] = []
    for frame in _read(table, free, unit):
        still = _constant_within(frame, unit) if unit else set()
        for name in (name for name in frame.columns if name != unit):
            reason, found = _repeats(name, sampled(frame[name]), references)
            if reason is None and name in still:
                reason = Message("analysis.constant-within-unit", unit=unit)
            if reason is None:
                names.append(name)
            else:
                excluded.setdefault(reason, []).append(found)
    return Candidates(names=tuple(names), excluded=excluded)


def drop_redundant_covariates(table: ColumnsOnDisk, columns: Sequence[Column], inference: Inference) -> Inference:
    """Return the inference without covariates that duplicate its outcome or its treatment, with notes on them."""
    roles = {role: given for role, given in inference.mapping.items() if role in ("y", "treatment")}
    if "y" not in roles or "covariates" not in inference.mapping:
        return inference
    found = covariate_candidates(table, columns, roles)
    possible = set(found.names)
    kept = tuple(name for name in inference.mapping["covariates"] if name in possible)
    mapping = {role: given for role, given in inference.mapping.items() if role != "covariates"}
    if kept:
        mapping["covariates"] = kept
    # Constant columns are among the notes of the inference already.
    repeats = {reason: names for reason, names in found.excluded.items() if reason != _CONSTANT}
    notes = replace(found, excluded=repeats).notes("suggested")
    ordered = {role: mapping[role] for role in inference.mapping if role in mapping}
    return replace(inference, mapping=ordered, notes=(*inference.notes, *notes))


def _read(table: ColumnsOnDisk, names: Sequence[str], unit: str | None) -> Iterator[pl.DataFrame]:
    """Yield the columns in batches, each with the column of the units."""
    width = max(1, _CELLS // max(1, table.height))
    for start in range(0, len(names), width):
        some = [*names[start : start + width], *([unit] if unit else [])]
        yield table.load(some)


def _constant_within(frame: pl.DataFrame, unit: str) -> set[str]:
    """Return the columns that vary within no unit; empty if no unit has several rows."""
    known = frame.filter(pl.col(unit).is_not_null())
    if known[unit].n_unique() == known.height:
        return set()
    others = [name for name in frame.columns if name != unit]
    most = known.group_by(unit).agg(pl.col(others).drop_nulls().n_unique()).select(others).max()
    return {name for name in others if most[name][0] <= 1}


def _references(table: ColumnsOnDisk, roles: RoleMapping) -> list[_Reference]:
    check_scales(table, roles)
    found = [
        _Reference(words=_redundant(role, str(roles[role])), rows=sampled(table[str(roles[role])]))
        for role in _REFERENCES
        if role in roles
    ]
    if {"time", "cohort"} <= roles.keys() and not {"treatment", "dose"} & roles.keys():
        words = _redundant("treatment", f"{roles['time']} >= {roles['cohort']}")
        found.append(_Reference(words=words, rows=sampled(started(table, roles))))
    cutoff = scalar(roles, "cutoff")
    if "running" in roles and cutoff is not None:
        running = numeric(table[str(roles["running"])], role="running")
        side = np.where(np.isnan(running), np.nan, running >= cutoff)
        words = Message("analysis.side-of-cutoff", running=roles["running"])
        found.append(_Reference(words=words, rows=sampled(side)))
    return found


def _redundant(role: str, column: str) -> Message:
    if role in _OUTCOMES:
        return Message("analysis.redundant-with-outcome", outcome=column)
    return Message("analysis.redundant-with-treatment", treatment=column)


def _repeats(name: str, column: Sampled, references: Sequence[_Reference]) -> tuple[Message | None, str]:
    """Return the reason why the column is a duplicate, or None, and its name with the evidence."""
    for reference in references:
        found = redundancy(column, reference.rows)
        if found is not None:
            return reference.words, Message("analysis.column-with-evidence", column=name, evidence=found)
    return None, name
