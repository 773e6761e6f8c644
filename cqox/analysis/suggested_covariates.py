"""Which columns without a role could be covariates, and which could not although their names and kinds allow it.

What names and kinds say is `cqox.datasets`' knowledge. Here values are looked at: a column that does not vary, or that
is the outcome or the treatment once more, in other units or on another scale, tells nothing that may be adjusted for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from cqox.analysis.designs import check_scales, scalar
from cqox.analysis.mapping import columns_of
from cqox.analysis.prepare import started
from cqox.analysis.redundant_columns import Sampled, likeness, sampled
from cqox.analysis.roles import numeric
from cqox.contract import RoleMapping
from cqox.datasets import Column, ColumnsOnDisk, Inference, infer_roles

__all__ = ["Candidates", "covariate_candidates", "without_repeats"]

_CELLS = 2_000_000
"""Cells that are read at once."""

_CONSTANT = "the same in every row"
_OUTCOME = "so near the outcome '{}' that they may be it in other units"
_TREATMENT = "so near the treatment '{}' that the two cannot be told apart"
_REFERENCES = {"y": _OUTCOME, "reward": _OUTCOME, "treatment": _TREATMENT, "dose": _TREATMENT, "action": _TREATMENT}
"""Roles that a covariate must not repeat, with the reason as the notes have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Columns that could be covariates.

    Attributes:
        names: those that could.
        excluded: reason to the columns that could not for it, each with what was found in parentheses where that
            differs between them.
    """

    names: tuple[str, ...]
    excluded: Mapping[str, Sequence[str]]

    def notes(self, verb: str) -> list[str]:
        """A sentence for each reason, such as `Not suggested as covariates, the same in every row: flat.`

        Args:
            verb: what was not done to the columns: `suggested` or `taken`.
        """
        return [
            f"Not {verb} as covariates, {reason}: {', '.join(columns)}." for reason, columns in self.excluded.items()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    """What a covariate must not repeat.

    Attributes:
        words: why a column that does is none, as the notes have it.
        rows: those that are compared.
    """

    words: str
    rows: Sampled


def covariate_candidates(path: Path, columns: Sequence[Column], roles: RoleMapping) -> Candidates:
    """The columns without a role that could be covariates; none where covariates are mapped, or there is no outcome.

    Left out with a reason is what is constant, what repeats the outcome or the treatment (a correlation beyond 0.999 of
    values or of ranks, or the same levels under other words), and in a panel what is constant within every unit: unit
    effects hold it already, and it may say when a unit is treated.

    Args:
        path: the table, as kept by `cqox.datasets`.
        columns: all of its columns.
        roles: canonical role to what plays it.

    Raises:
        InvalidRequest: columns that are compared with each other hold dates and numbers.
    """
    if "covariates" in roles or not {"y", "reward"} & roles.keys():
        return Candidates(names=(), excluded={})
    taken = set(columns_of(roles))
    excluded: dict[str, list[str]] = {}
    for column in columns:
        if column.name not in taken and column.distinct <= 1:
            excluded.setdefault(_CONSTANT, []).append(column.name)
    suggested = infer_roles(columns).mapping.get("covariates", ())
    free = [name for name in ([suggested] if isinstance(suggested, str) else suggested) if name not in taken]
    if not free:
        return Candidates(names=(), excluded=excluded)
    unit = str(roles["unit_id"]) if {"unit_id", "time"} <= roles.keys() else None
    table = ColumnsOnDisk(path=path, height=columns[0].count + columns[0].missing)
    references = _references(table, roles)
    names: list[str] = []
    for frame in _read(table, free, unit):
        still = _constant_within(frame, unit) if unit else set()
        for name in (name for name in frame.columns if name != unit):
            reason, found = _repeats(sampled(frame[name]), references)
            if reason is None and name in still:
                reason = f"constant within every '{unit}' (its effect holds them, and they may say when it is treated)"
            if reason is None:
                names.append(name)
            else:
                excluded.setdefault(reason, []).append(f"{name}{found}")
    return Candidates(names=tuple(names), excluded=excluded)


def without_repeats(path: Path, columns: Sequence[Column], inference: Inference) -> Inference:
    """The guess without covariates that repeat its outcome or its treatment, and notes on them."""
    roles = {role: given for role, given in inference.mapping.items() if role in ("y", "treatment")}
    if "y" not in roles or "covariates" not in inference.mapping:
        return inference
    found = covariate_candidates(path, columns, roles)
    possible = set(found.names)
    kept = tuple(name for name in inference.mapping["covariates"] if name in possible)
    mapping = {role: given for role, given in inference.mapping.items() if role != "covariates"}
    if kept:
        mapping["covariates"] = kept
    # What is constant is among the notes of the guess already.
    repeats = {reason: names for reason, names in found.excluded.items() if reason != _CONSTANT}
    notes = replace(found, excluded=repeats).notes("suggested")
    ordered = {role: mapping[role] for role in inference.mapping if role in mapping}
    return replace(inference, mapping=ordered, notes=(*inference.notes, *notes))


def _read(table: ColumnsOnDisk, names: Sequence[str], unit: str | None) -> Iterator[pl.DataFrame]:
    """The columns, some at a time, with that of the units beside them."""
    width = max(1, _CELLS // max(1, table.height))
    for start in range(0, len(names), width):
        some = [*names[start : start + width], *([unit] if unit else [])]
        yield pl.read_parquet(table.path, columns=some, glob=False).select(some)


def _constant_within(frame: pl.DataFrame, unit: str) -> set[str]:
    """The columns that change within no unit; none where no unit has several rows."""
    known = frame.filter(pl.col(unit).is_not_null())
    if known[unit].n_unique() == known.height:
        return set()
    others = [name for name in frame.columns if name != unit]
    most = known.group_by(unit).agg(pl.col(others).drop_nulls().n_unique()).select(others).max()
    return {name for name in others if most[name][0] <= 1}


def _references(table: ColumnsOnDisk, roles: RoleMapping) -> list[_Reference]:
    check_scales(table, roles)
    found = [
        _Reference(words=words.format(roles[role]), rows=sampled(table[str(roles[role])]))
        for role, words in _REFERENCES.items()
        if role in roles
    ]
    if {"time", "cohort"} <= roles.keys() and not {"treatment", "dose"} & roles.keys():
        words = _TREATMENT.format(f"{roles['time']} >= {roles['cohort']}")
        found.append(_Reference(words=words, rows=sampled(started(table, roles))))
    cutoff = scalar(roles, "cutoff")
    if "running" in roles and cutoff is not None:
        running = numeric(table[str(roles["running"])], role="running")
        side = np.where(np.isnan(running), np.nan, running >= cutoff)
        words = f"which tell the side of the cutoff of '{roles['running']}'"
        found.append(_Reference(words=words, rows=sampled(side)))
    return found


def _repeats(column: Sampled, references: Sequence[_Reference]) -> tuple[str | None, str]:
    """What the column repeats, if anything, and by what that shows."""
    for reference in references:
        found = likeness(column, reference.rows)
        if found is not None:
            return reference.words, f" ({found})"
    return None, ""
