"""The roles of columns, guessed from names in English and Japanese, from kinds and from structure.

A guess is a ranking with reasons, and it is conservative: the mapping holds what the names say and nothing that the
values forbid. A covariate whose name says that it was measured after the treatment is a candidate with a warning and
not mapped, for adjusting for it can create bias.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cqox.contract import ROLES
from cqox.contract.messages import Message
from cqox.datasets.marks import is_mark
from cqox.datasets.role_candidate import MAPPED_AT, RoleCandidate
from cqox.datasets.structural_roles import computed_from_roles, only_outcome_left, with_structure
from cqox.datasets.structure import Structure
from cqox.datasets.table import Column, Kind
from cqox.datasets.vocabulary import (
    match_role,
    names_background,
    names_codes,
    said_after_treatment,
    said_before_treatment,
)

__all__ = ["Inference", "RoleCandidate", "infer_roles"]

# A wrong instrument changes every estimate that uses it, so only a name that says so is enough.
_INSTRUMENT_AT = 0.9
_BY_KIND = 0.2
_SHOWN_AT = 0.2
_MAX_CANDIDATES = 10
# A name that ends in a year, of two digits or four.
_NUMBERED = re.compile(r"(\D+?[_.-]?)(\d{2}|(?:19|20)\d{2})")
# Below it a number counts columns: x01, x02, ...
_LEAST_YEAR = 20
_NEEDED = ("y", "treatment")
# Roles that a column takes for itself, in the order in which they choose. `y` is sought before `treatment`: a panel's
# outcome and treatment may both be 0/1 and only the names decide.
_SINGLE = (
    "unit_id",
    "time",
    "cohort",
    "post",
    "weights",
    "pscore",
    "log_propensity",
    "latitude",
    "longitude",
    "cost",
    "treatment",
    "y",
    "dose",
    "running",
    "action",
    "reward",
    "sample",
    "neighbor_exposure",
)
_SEVERAL = ("cluster", "instrument", "mediator", "proxy_treatment", "proxy_outcome", "target_policy")
# Guessed from a name alone these would change what is estimated, so they are shown and left to the client.
_SHOWN_ONLY = frozenset(
    {"mediator", "dose", "running", "action", "reward", "sample", "neighbor_exposure", "cost", "target_policy"}
    | {"proxy_treatment", "proxy_outcome", "latitude", "longitude", "weights", "pscore", "log_propensity", "cluster"}
)

_LEFT_BY_KIND: Mapping[Kind, Message] = {
    "id": Message("datasets.left-identifiers"),
    "date": Message("datasets.left-dates"),
    "text": Message("datasets.left-free-text"),
}
"""Kinds of columns that are not suggested as covariates, with what such columns are called."""
_TWO_LEVELS = Message("datasets.has-two-levels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """A guess at the roles of a table's columns.

    Attributes:
        mapping: role to column, or to columns; can be sent to an analysis as it is.
        candidates: role to the columns that may play it, likeliest first.
        missing: roles that an analysis needs and no column seems to play.
        notes: what was left out and why.
    """

    mapping: Mapping[str, str | tuple[str, ...]]
    candidates: Mapping[str, tuple[RoleCandidate, ...]]
    missing: tuple[str, ...]
    notes: tuple[Message, ...]

    def to_json(self) -> dict[str, object]:
        """The guess as `cqox.contract.Inference` has it, without the data set's id."""
        return {
            "mapping": {role: given if isinstance(given, str) else list(given) for role, given in self.mapping.items()},
            "candidates": {role: [one.to_json() for one in found] for role, found in self.candidates.items()},
            "missing": list(self.missing),
            "notes": list(self.notes),
        }


def infer_roles(columns: Sequence[Column], structure: Structure | None = None) -> Inference:
    """The likeliest role of each column.

    Args:
        columns: as described when the table was read; the values are not looked at.
        structure: of the cells, if they were looked at.
    """
    structure = structure or Structure()
    usable = [column for column in columns if column.distinct is None or column.distinct > 1 or _marks_yes(column)]
    candidates = {role: _candidates(role, usable) for role in (*_SINGLE, *_SEVERAL)}
    candidates = with_structure(candidates, usable, structure)
    mapping, taken = _assigned(candidates)
    _take_back(mapping, taken, usable)
    claimed = _claimed(candidates, taken)
    latest = {} if "y" in mapping else _latest_of_series(usable, taken | claimed.keys())
    left_over = _map_what_is_left(mapping, candidates, usable, structure, taken | claimed.keys(), latest)
    if left_over is not None:
        taken.add(left_over)
    remade = computed_from_roles(mapping, structure)
    covariates, doubtful, notes = _covariates(columns, taken | claimed.keys() - remade, latest, remade)
    candidates["covariates"] = (*covariates, *doubtful)
    if covariates:
        mapping["covariates"] = tuple(candidate.column for candidate in covariates)
    missing = tuple(
        role
        for role in _NEEDED
        if role not in mapping and not (role == "treatment" and {"cohort", "time"} <= mapping.keys())
    )
    for role in missing:
        by_kind = _by_kind(role, usable, taken | claimed.keys())
        latest_first = latest if role == "y" else {}
        by_kind = tuple(
            sorted(by_kind, key=lambda one: (one.column not in latest_first, _is_background(one, structure)))
        )
        candidates[role] = candidates[role] or by_kind
    if left_over is not None:
        notes.append(Message("datasets.by-elimination", column=left_over))
    notes += [
        Message("datasets.choose-a-role", role=role, columns=[one.column for one in candidates[role][:_MAX_CANDIDATES]])
        for role in missing
        if candidates[role]
    ]
    if claimed:
        shown = [Message("datasets.column-of-role", column=column, role=role) for column, role in claimed.items()]
        notes.append(Message("datasets.left-to-map", columns=shown))
    most = {role: len(columns) if role == "covariates" else _MAX_CANDIDATES for role in ROLES}
    return Inference(
        mapping={role: mapping[role] for role in ROLES if role in mapping},
        candidates={role: candidates[role][: most[role]] for role in ROLES if candidates.get(role)},
        missing=missing,
        notes=tuple(notes),
    )


def _assigned(
    candidates: Mapping[str, tuple[RoleCandidate, ...]],
) -> tuple[dict[str, str | tuple[str, ...]], set[str]]:
    """Roles with a sure candidate that no surer role has, and the columns so taken."""
    mapping: dict[str, str | tuple[str, ...]] = {}
    taken: set[str] = set()
    for role in _by_confidence(candidates):
        least = _INSTRUMENT_AT if role == "instrument" else MAPPED_AT
        chosen = [c.column for c in candidates[role] if c.confidence >= least and c.column not in taken]
        if not chosen or role in _SHOWN_ONLY:
            continue
        mapping[role] = tuple(chosen) if role in _SEVERAL else chosen[0]
        taken.update(chosen if role in _SEVERAL else chosen[:1])
    return mapping, taken


def _map_what_is_left(
    mapping: dict[str, str | tuple[str, ...]],
    candidates: dict[str, tuple[RoleCandidate, ...]],
    columns: Sequence[Column],
    structure: Structure,
    claimed: set[str],
    latest: Mapping[str, Message],
) -> str | None:
    """Map the outcome to the only column left for it, where the treatment is known; return the column."""
    if "treatment" not in mapping or "y" in mapping:
        return None
    found = only_outcome_left(columns, structure, claimed, latest)
    if found is None:
        return None
    mapping["y"] = found.column
    candidates["y"] = (found, *(other for other in candidates["y"] if other.column != found.column))
    return found.column


def _by_kind(role: str, columns: Sequence[Column], taken: set[str]) -> tuple[RoleCandidate, ...]:
    """Columns that could be the outcome or the treatment, going by their values alone."""
    kinds = ("real", "count", "binary") if role == "y" else ("binary",)
    why = Message("datasets.numbers-without-a-name") if role == "y" else Message("datasets.two-levels-without-a-name")
    return tuple(
        RoleCandidate(column=column.name, confidence=_BY_KIND, reasons=(why,))
        for column in columns
        if column.kind in kinds and column.name not in taken and not said_before_treatment(column.name)
    )


def _is_background(candidate: RoleCandidate, structure: Structure) -> bool:
    return candidate.column in structure.indicators | structure.calendar or names_background(candidate.column)


def _latest_of_series(columns: Sequence[Column], taken: set[str]) -> dict[str, Message]:
    """Columns that are the latest of a series such as re74, re75, re78, with a sentence that says so.

    Where no name suggests an outcome, the latest measurement of something is more likely that than a covariate.
    """
    series: dict[str, list[tuple[int, str]]] = {}
    for column in columns:
        match = _NUMBERED.fullmatch(column.name)
        if match and column.kind in ("real", "count", "binary") and column.name not in taken:
            series.setdefault(match[1], []).append((int(match[2]), column.name))
    return {
        max(members)[1]: Message("datasets.latest-of-series", names=[name for _, name in sorted(members)])
        for members in series.values()
        if len(members) > 1 and min(members)[0] >= _LEAST_YEAR
    }


def _by_confidence(candidates: Mapping[str, tuple[RoleCandidate, ...]]) -> list[str]:
    """Roles with the surest candidate first, so that a certain `treat` is not taken as a doubtful outcome."""

    def surest(role: str) -> float:
        return max((candidate.confidence for candidate in candidates[role]), default=0.0)

    return sorted((*_SINGLE, *_SEVERAL), key=lambda role: -surest(role))


def _candidates(role: str, columns: Sequence[Column]) -> tuple[RoleCandidate, ...]:
    found = []
    for position, column in enumerate(columns):
        candidate = _candidate(role, column)
        if candidate is not None and candidate.confidence >= _SHOWN_AT:
            found.append((-candidate.confidence, position, candidate))
    return tuple(candidate for _, _, candidate in sorted(found, key=lambda item: item[:2]))


def _candidate(role: str, column: Column) -> RoleCandidate | None:
    named = match_role(role, column.name)
    if named is None or (role != "treatment" and _marks_yes(column)):
        return None
    confidence, why = named
    factor, fit = _fit(role, column)
    return RoleCandidate(
        column=column.name,
        confidence=round(confidence * factor, 2),
        reasons=(why,) if fit is None else (why, fit),
    )


def _fit(role: str, column: Column) -> tuple[float, Message | None]:
    """Score how well the values suit the role, between 0 and 1, with the reason in words."""
    kind = column.kind
    match role:
        case "treatment" | "instrument":
            if kind == "binary":
                return 1.0, _TWO_LEVELS
            if _marks_yes(column):
                return 1.0, Message("datasets.mark-or-empty")
            if role == "treatment" and kind in ("category", "count") and (column.distinct or 99) <= 5:
                return 0.85, Message("datasets.has-levels", levels=column.distinct)
            if kind in ("real", "count"):
                return (1.0, None) if role == "instrument" else (0.7, Message("datasets.is-an-amount"))
            return 0.2, Message("datasets.kind-does-not-suit", kind=kind)
        case "y":
            if kind in ("real", "count", "binary"):
                return 1.0, Message("datasets.has-numbers-or-two-levels")
            return 0.1, Message("datasets.kind-is-no-outcome", kind=kind)
        case "post" | "sample":
            return (1.0, _TWO_LEVELS) if kind == "binary" else (0.2, Message("datasets.has-other-than-two-levels"))
        case "time":
            if kind in ("date", "count", "category", "id"):
                return 1.0, Message("datasets.is-a-date") if kind == "date" else None
            return 0.6 if kind in ("binary", "real") else 0.2, None
        case "unit_id" | "cluster":
            return (0.2, Message("datasets.is-a-measurement")) if kind in ("real", "date") else (1.0, None)
        case "pscore":
            inside = _between(column, 0.0, 1.0) and kind == "real"
            return (1.0, Message("datasets.values-between-0-and-1")) if inside else (0.0, None)
        case "log_propensity":
            return (
                (1.0, Message("datasets.values-at-most-0"))
                if _between(column, None, 0.0) and kind == "real"
                else (0.0, None)
            )
        case "weights":
            return (1.0, None) if kind in ("real", "count", "binary") and _between(column, 0.0, None) else (0.0, None)
        case "latitude":
            return (1.0, None) if kind in ("real", "count") and _between(column, -90.0, 90.0) else (0.0, None)
        case "longitude":
            return (1.0, None) if kind in ("real", "count") and _between(column, -180.0, 360.0) else (0.0, None)
        case "cohort":
            return (1.0, None) if kind in ("count", "date", "real", "binary") else (0.2, None)
        case _:
            return (1.0, None) if kind not in ("text", "id") else (0.2, None)


def _between(column: Column, low: float | None, high: float | None) -> bool:
    least, greatest = column.minimum, column.maximum
    if not isinstance(least, int | float) or not isinstance(greatest, int | float):
        return False
    return (low is None or least >= low) and (high is None or greatest <= high)


def _take_back(mapping: dict[str, str | tuple[str, ...]], taken: set[str], columns: Sequence[Column]) -> None:
    """Drop roles that require another role which is missing, or contradict one."""
    by_name = {column.name: column for column in columns}
    if "cohort" in mapping and "time" not in mapping:
        taken.discard(str(mapping.pop("cohort")))
    if "post" in mapping and "treatment" not in mapping:
        taken.discard(str(mapping.pop("post")))
    treatment = mapping.get("treatment")
    if isinstance(treatment, str) and by_name[treatment].kind in ("text", "id", "date"):
        taken.discard(str(mapping.pop("treatment")))


def _claimed(candidates: Mapping[str, tuple[RoleCandidate, ...]], taken: set[str]) -> dict[str, str]:
    """Columns that surely play another role than covariate, with that role; which one exactly is left to the client."""
    claimed: dict[str, str] = {}
    for role, found in candidates.items():
        for candidate in found:
            if candidate.confidence >= MAPPED_AT and candidate.column not in taken:
                claimed.setdefault(candidate.column, role)
    return claimed


def _covariates(
    columns: Sequence[Column], claimed: set[str], latest: Mapping[str, Message], remade: frozenset[str]
) -> tuple[tuple[RoleCandidate, ...], tuple[RoleCandidate, ...], list[Message]]:
    """Columns to adjust for, columns that may be measured too late, and what was left out."""
    sure: list[RoleCandidate] = []
    doubtful: list[RoleCandidate] = []
    left: dict[Message, list[str]] = {}
    for column in columns:
        if column.name in claimed:
            continue
        reason = Message("datasets.left-computed") if column.name in remade else _no_covariate(column)
        if reason is not None:
            left.setdefault(reason, []).append(column.name)
            continue
        if column.name in latest:
            doubtful.append(RoleCandidate(column=column.name, confidence=0.2, reasons=(latest[column.name],)))
            continue
        after = said_after_treatment(column.name)
        if after:
            warning = Message("datasets.measured-after-treatment", part=after)
            doubtful.append(RoleCandidate(column=column.name, confidence=0.2, reasons=(warning,)))
            continue
        named = match_role("covariates", column.name)
        confidence, why = named or (0.5, Message("datasets.plays-no-other-role", kind=column.kind))
        sure.append(RoleCandidate(column=column.name, confidence=confidence, reasons=(why,)))
    notes = [Message("datasets.no-covariates", columns=names, reason=reason) for reason, names in left.items()]
    if doubtful:
        notes.append(Message("datasets.left-out-as-late", columns=[candidate.column for candidate in doubtful]))
    suggested = {candidate.column for candidate in sure}
    coded = [column.name for column in columns if column.name not in claimed and _looks_coded(column)]
    entering = [name for name in coded if name in suggested]
    if entering:
        notes.append(Message("datasets.perhaps-codes", columns=entering))
    kept_out = [name for name in coded if name in left.get(_LEFT_BY_KIND["id"], ())]
    if kept_out:
        notes.append(Message("datasets.codes-among-identifiers", columns=kept_out))
    if sure:
        notes.append(Message("datasets.take-out-later-covariates"))
    return tuple(sorted(sure, key=lambda one: -one.confidence)), tuple(doubtful), notes


def _looks_coded(column: Column) -> bool:
    return column.dtype == "int64" and 2 < column.distinct <= column.count / 2 and names_codes(column.name)


def _marks_yes(column: Column) -> bool:
    """Return whether the column has a mark for yes, or is empty."""
    return column.missing > 0 and len(column.levels) == 1 and is_mark(column.levels[0])


def _no_covariate(column: Column) -> Message | None:
    if _marks_yes(column):
        return Message("datasets.left-marks")
    if column.distinct is not None and column.distinct <= 1:
        return Message("datasets.left-constant")
    if column.kind == "category" and not column.levels:
        return Message("datasets.left-many-levels")
    return _LEFT_BY_KIND.get(column.kind)
