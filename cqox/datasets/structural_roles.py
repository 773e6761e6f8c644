"""Roles by the structure of the cells: what is unique by unit and period, starts once and stays, or is left over.

The structure may outweigh a name: of two treatments in a panel the one that varies within units is likelier, and a
column `post` that starts at different times is no period after one date. An outcome that is left over is mapped only
where it is the only one and the treatment is known, for in most tables the only 0/1 column left is no treatment.
"""

from collections.abc import Collection, Mapping, Sequence

from cqox.contract.messages import Message
from cqox.datasets.role_candidate import MAPPED_AT, RoleCandidate
from cqox.datasets.structure import Structure
from cqox.datasets.table import Column
from cqox.datasets.vocabulary import (
    match_role,
    names_a_change,
    names_a_logarithm,
    names_background,
    names_codes,
    said_before_treatment,
)

__all__ = ["computed_from_roles", "only_outcome_left", "with_structure"]

type _Candidates = dict[str, tuple[RoleCandidate, ...]]

_SURE = 0.96
_LIKELY = 0.75
_ONLY_ONE = 0.55
_ONE_OF_SEVERAL = 0.4
# What remains of a name's confidence where the cells contradict it.
_CONTRADICTED = 0.4
_ONLY_AMOUNT = Message("datasets.only-amount-left")
# A lag or a square of a column named as an outcome or a treatment is neither.
_COPIES = ("lag", "difference", "square")
_NO_TREATMENT = ("lag", "difference", "indicator")


def with_structure(candidates: _Candidates, columns: Sequence[Column], structure: Structure) -> _Candidates:
    """Return candidates by name with what the structure says for and against them.

    Args:
        candidates: role to candidates.
        columns: the columns that are not constant.
        structure: of their cells.
    """
    found = dict(candidates)
    for role in ("y", "treatment"):
        made = {name for name, one in structure.computed.items() if one.how in _COPIES}
        _lower(found, role, made, Message("datasets.computed-from-another"))
    _changes(found, columns)
    if structure.unit and structure.time:
        unique = Message("datasets.unique-by-unit-and-period", unit=structure.unit, time=structure.time)
        _raise(found, "unit_id", structure.unit, _SURE, unique)
        _raise(found, "time", structure.time, _SURE, unique)
        _lag_in_the_table(found, columns, structure)
    varying = _varying(columns, structure)
    if varying and not _is_group_with_post(found, varying, structure):
        _varying_treatment(found, columns, varying, structure)
    elif structure.unit is None:
        _group_and_period(found, columns, structure)
    return found


def only_outcome_left(
    columns: Sequence[Column], structure: Structure, taken: Collection[str], latest: Mapping[str, Message]
) -> RoleCandidate | None:
    """Return the only column left that can be the outcome of a known treatment; None if there are none or several.

    The latest of a numbered series is asked first, then names that may be of an outcome, amounts, and logarithms.

    Args:
        columns: the columns that are not constant.
        structure: of their cells.
        taken: columns that play another role.
        latest: columns that are the latest of a numbered series, with a sentence that says so.
    """
    if _changes_of(columns):
        return None
    left = [one for one in columns if one.name not in taken and _may_be_the_outcome(one, structure)]
    amounts = [one.name for one in left if one.kind != "binary" and one.name not in structure.fixed]
    last = sorted((name for name in amounts if name in latest), key=lambda name: _how(name, structure) is not None)
    choices: tuple[tuple[list[str], Message], ...] = (
        (last, latest[last[0]] if last else _ONLY_AMOUNT),
        ([one.name for one in left if match_role("y", one.name)], Message("datasets.only-outcome-name-left")),
        (amounts or [one.name for one in left], _ONLY_AMOUNT),
        ([name for name in amounts if _is_logarithm(name, structure)], Message("datasets.only-logarithm-left")),
    )
    for names, why in choices:
        if len({_root(name, structure) for name in names}) == 1:
            return RoleCandidate(column=names[0], confidence=_ONLY_ONE, reasons=(why,))
    return None


def computed_from_roles(mapping: Mapping[str, str | tuple[str, ...]], structure: Structure) -> frozenset[str]:
    """Return the columns that were computed from the outcome or the treatment, or these from them; lags are earlier.

    Args:
        mapping: role to columns.
        structure: of the cells.
    """
    roots = {_root(str(mapping[role]), structure) for role in ("y", "treatment") if role in mapping}
    found = set(roots)
    for _ in range(3):
        found |= {
            name for name, one in structure.computed.items() if one.how != "lag" and not found.isdisjoint(one.bases)
        }
    earlier = {name for name, one in structure.computed.items() if one.how == "lag"}
    return frozenset(found - earlier - {str(mapping.get("y")), str(mapping.get("treatment"))})


def _is_logarithm(name: str, structure: Structure) -> bool:
    return names_a_logarithm(name) or _how(name, structure) == "logarithm"


def _varying(columns: Sequence[Column], structure: Structure) -> list[str]:
    """The 0/1 columns of a panel that may be its treatment: those that stay once they have started, or else all."""
    possible = [
        one.name
        for one in columns
        if one.name in structure.varying
        and one.name not in structure.indicators
        and not _is_derived(one.name, structure)
        and match_role("y", one.name) is None
        and not names_background(one.name)
    ]
    staying = [name for name in possible if name in structure.absorbing]
    return staying or possible


def _is_group_with_post(found: _Candidates, varying: Sequence[str], structure: Structure) -> bool:
    """Return whether names say that the design is a constant group and a period, and no column is their product."""
    groups = {one.column for one in found["treatment"] if one.confidence >= MAPPED_AT} & structure.fixed
    periods = {one.column for one in found["post"] if one.confidence >= MAPPED_AT} & structure.calendar
    made = [structure.computed[name].bases for name in varying if name in structure.computed]
    return bool(groups and periods) and not any(groups & {*bases} and periods & {*bases} for bases in made)


def _varying_treatment(
    found: _Candidates, columns: Sequence[Column], varying: Sequence[str], structure: Structure
) -> None:
    """Prefer the 0/1 column that varies within units to one that is constant; if there are several, ask."""
    stays = all(name in structure.absorbing for name in varying)
    is_constant_named = any(one.confidence >= MAPPED_AT and one.column in structure.fixed for one in found["treatment"])
    is_one = len(varying) == 1 and not (structure.phased_in if stays else is_constant_named)
    confidence = _ONE_OF_SEVERAL if not is_one else _SURE if stays else _ONLY_ONE
    why = Message("datasets.starts-once-and-stays") if stays else Message("datasets.varies-within-units")
    for name in varying:
        _raise(found, "treatment", name, confidence, why)
    _lower(found, "treatment", structure.fixed, Message("datasets.constant-within-units"))
    _lower(found, "post", {one.name for one in columns}, Message("datasets.treatment-varies-already"))


def _is_derived(name: str, structure: Structure) -> bool:
    """Return whether a 0/1 column is a lag, or a product with a column that itself varies within units."""
    made = structure.computed.get(name)
    if made is None:
        return False
    return made.how in _NO_TREATMENT or any(base in structure.varying for base in made.bases)


def _lag_in_the_table(found: _Candidates, columns: Sequence[Column], structure: Structure) -> None:
    """An amount whose lag is in the table is the outcome, if there is one such amount only."""
    amounts = {one.name for one in columns if one.kind in ("real", "count")}
    lagged = [
        made.bases[0]
        for name, made in structure.computed.items()
        if made.how == "lag" and _root(made.bases[0], structure) in amounts and not names_background(made.bases[0])
    ]
    if len({_root(name, structure) for name in lagged}) == 1:
        _raise(found, "y", lagged[0], _LIKELY, Message("datasets.its-lag-is-in-the-table"))


def _changes_of(columns: Sequence[Column]) -> list[str]:
    names = {one.name for one in columns}
    return [one.name for one in columns if one.kind in ("real", "count") and names_a_change(one.name, names)]


def _changes(found: _Candidates, columns: Sequence[Column]) -> None:
    """Changes of a measurement between two years, such as `wt82_71`, may be the outcome, whatever else is named so."""
    changes = _changes_of(columns)
    if not changes:
        return
    why = Message("datasets.change-between-years")
    words = {one.column for one in found.get("y", ()) if one.confidence < _LIKELY}
    _lower(found, "y", words - set(changes), Message("datasets.changes-may-be-the-outcome"))
    for name in changes:
        _raise(found, "y", name, _LIKELY if len(changes) == 1 else _ONE_OF_SEVERAL, why)


def _group_and_period(found: _Candidates, columns: Sequence[Column], structure: Structure) -> None:
    """Propose the group as the treatment and the period as `post` if a 0/1 column is their product."""
    switches = {one.name for one in columns if one.kind == "binary"} - structure.computed.keys()
    products = {
        name: made.bases
        for name, made in structure.computed.items()
        if made.how == "product" and switches.issuperset(made.bases)
    }
    after: dict[tuple[str, str], Message] = {}
    unclear: dict[str, Message] = {}
    for name, bases in products.items():
        why = Message("datasets.product-of-both", product=name)
        periods = [base for base in bases if base in structure.calendar or match_role("post", base)]
        groups = [base for base in bases if base not in periods]
        if len(periods) == 1:
            after[groups[0], periods[0]] = why
        elif not periods and not any(names_background(base) for base in bases):
            unclear |= dict.fromkeys(bases, why)
    # A period that multiplies several 0/1 columns is one of a regression whose slopes may change.
    is_one = len(after) == 1
    for (group, period), why in after.items():
        _raise(found, "treatment", group, _LIKELY if is_one else _ONE_OF_SEVERAL, why)
        _raise(found, "post", period, _LIKELY if is_one else _ONE_OF_SEVERAL, why)
    for base, why in unclear.items():
        _raise(found, "treatment", base, _ONE_OF_SEVERAL, why)


def _may_be_the_outcome(column: Column, structure: Structure) -> bool:
    """Return whether a column that has no role may be the outcome."""
    name = column.name
    if column.kind not in ("real", "count", "binary"):
        return False
    made = structure.computed.get(name)
    if made is not None and made.how != "logarithm":
        return False
    if name in structure.indicators | structure.calendar or name == structure.time:
        return False
    # Squares and products with amounts are made of covariates.
    if any(name in one.bases and one.how in ("square", "product") for one in structure.computed.values()):
        return False
    return not (names_background(_root(name, structure)) or names_codes(name) or said_before_treatment(name))


def _how(name: str, structure: Structure) -> str | None:
    made = structure.computed.get(name)
    return made.how if made else None


def _root(name: str, structure: Structure) -> str:
    """The column that a column was computed from in the end: of a difference of logarithms, the amount."""
    made = structure.computed.get(name)
    return _root(made.bases[0], structure) if made is not None and made.how in ("logarithm", "difference") else name


def _raise(found: _Candidates, role: str, name: str, confidence: float, why: Message) -> None:
    """Make a column a candidate of at least this confidence, and put it where it belongs."""
    before = next((one for one in found.get(role, ()) if one.column == name), None)
    reasons = (*(before.reasons if before else ()), why)
    surest = max(confidence, before.confidence if before else 0.0)
    others = [one for one in found.get(role, ()) if one.column != name]
    candidate = RoleCandidate(column=name, confidence=surest, reasons=reasons)
    found[role] = tuple(sorted([*others, candidate], key=lambda one: -one.confidence))


def _lower(found: _Candidates, role: str, names: Collection[str], why: Message) -> None:
    """Lower the confidence of candidates that the cells contradict below what is mapped."""
    changed = [
        RoleCandidate(
            column=one.column, confidence=round(one.confidence * _CONTRADICTED, 2), reasons=(*one.reasons, why)
        )
        if one.column in names
        else one
        for one in found.get(role, ())
    ]
    assert all(one.confidence < MAPPED_AT or one.column not in names for one in changed)
    found[role] = tuple(sorted(changed, key=lambda one: -one.confidence))
