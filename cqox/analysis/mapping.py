"""Validation of a mapping by column names, before any data are read and without numeric libraries."""

from collections import Counter
from collections.abc import Mapping, Sequence

from cqox.contract import ROLES, Mapped, Options, RemedyOptions, RoleMapping, near_words, shortened
from cqox.contract.messages import Message, joined
from cqox.errors import InvalidRequest

__all__ = [
    "BY_LEVELS", "by_names", "categorical_columns", "check_exact", "check_mapping", "check_remedies", "columns_of",
    "names_in", "unknown_column",
]  # fmt: skip

_MOST_SHOWN = 30

BY_LEVELS = (
    "treatment", "covariates", "propensity_covariates", "instrument", "mediator", "proxy_treatment", "proxy_outcome",
)  # fmt: skip
"""Roles whose words enter by their levels and whose numbers enter as amounts."""

_CODES = ("unit_id", "cluster", "fixed_effects", "action", "edges", "sample", "post")
"""Roles whose numbers are never amounts."""

_DESIGNS = (
    {"treatment"}, {"dose"}, {"running", "cutoff"}, {"time", "cohort"}, {"time", "intervention_time"}, {"time", "post"},
    {"action", "reward"}, {"action", "y"}, {"reward", "target_policy"},
)  # fmt: skip
"""Roles that define who was treated, alone or together."""

# A unit may also be the cluster, a period the post indicator, and so on.
_ALONE = ("y", "reward", "treatment", "instrument", "weights", "pscore", "log_propensity")
"""Sets of roles that may not share a column."""

_TOGETHER = (("running", "cutoff"), ("latitude", "longitude"))
"""Pairs of roles that need each other."""


def by_names(roles: RoleMapping, options: Options, columns: Mapping[str, str]) -> tuple[RoleMapping, Options]:
    """Return roles and options that name columns by their names where they name them by their headers in the file.

    A word that is a name is never taken for a header, and a header of several columns is left for the checks to refuse.
    `options.categorical` and `options.post_treatment` take headers where they are read.

    Args:
        roles: canonical role to mapped columns or value.
        options: the request's options.
        columns: name of every column of the table to its header in the file.
    """
    alone = Counter(columns.values())
    known = {
        header: name for name, header in columns.items() if header and header not in columns and alone[header] == 1
    }
    if not known:
        return roles, options
    named = {
        role: mapped if ROLES[role].arity == "scalar" else _by_names(mapped, known) for role, mapped in roles.items()
    }
    changes: dict[str, object] = {}
    if options.drop_rows:
        changes["drop_rows"] = [
            drop.model_copy(update={"column": known.get(drop.column or "", drop.column)}) for drop in options.drop_rows
        ]
    if options.period_formats:
        changes["period_formats"] = {known.get(word, word): form for word, form in options.period_formats.items()}
    for option in ("match_exact", "yes_no"):
        if words := getattr(options, option):
            changes[option] = [known.get(word, word) for word in words]
    return named, options.model_copy(update=changes) if changes else options


def check_mapping(roles: RoleMapping, columns: Sequence[str]) -> None:
    """Check a mapping by names, before any data are read.

    Raises:
        InvalidRequest: a column that does not exist, an incomplete design, no outcome, no treatment in a design that
            needs one, or one column in two roles that exclude each other.
    """
    for role, mapped in roles.items():
        if ROLES[role].arity == "scalar":
            continue
        for column in names_in(mapped):
            if column not in columns:
                raise unknown_column(column, Message("analysis.mapped-as", role=role), columns, field=f"mapping.{role}")
    _check_whole(roles)
    if not {"y", "reward"} & roles.keys() and not {"running", "cutoff"} <= roles.keys():
        raise InvalidRequest(Message("analysis.no-outcome"), field="mapping.y", choices=list(columns))
    _check_shared(roles)
    if not any(design <= roles.keys() for design in _DESIGNS):
        raise InvalidRequest(
            Message("analysis.no-treatment"),
            field="mapping.treatment",
            choices=list(columns),
        )


def categorical_columns(asked: Sequence[str], roles: RoleMapping, columns: Mapping[str, str]) -> list[str]:
    """Return the columns declared by `options.categorical`, each once.

    Args:
        asked: names of columns, or their headers in the file.
        roles: canonical role to mapped columns or value.
        columns: name of every column of the table to its header in the file.

    Raises:
        InvalidRequest: a name without a column, or the column of a role that takes numbers and no categories.
    """
    names: dict[str, None] = {}
    for word in asked:
        same = [word] if word in columns else [name for name, header in columns.items() if header == word]
        if len(same) != 1:
            raise unknown_column(word, Message("analysis.in-categorical"), list(columns), field="options.categorical")
        names[same[0]] = None
    for name in names:
        parts = [role for role in roles if ROLES[role].arity != "scalar" and name in names_in(roles[role])]
        if parts and not {*BY_LEVELS, *_CODES} & set(parts):
            raise InvalidRequest(
                Message("analysis.role-takes-numbers", column=name, role=parts[0]),
                field="options.categorical",
            )
    return list(names)


def check_exact(options: Options, roles: RoleMapping) -> None:
    """Check by names the columns of `options.match_exact`.

    Raises:
        InvalidRequest: a column that is not mapped as a covariate, unless covariates are still to be chosen.
    """
    mapped = [name for role in ("covariates", "propensity_covariates") for name in names_in(roles.get(role, ()))]
    if options.covariates == "auto" and not mapped:
        return
    for column in options.match_exact or ():
        if column not in mapped:
            raise InvalidRequest(
                Message("matching.exact-not-a-covariate", column=shortened(column)),
                field="options.match_exact",
                choices=list(dict.fromkeys(mapped)),
            )


def check_remedies(options: RemedyOptions, columns: Sequence[str]) -> None:
    """Check by names the options that settle data findings, before any data are read.

    Raises:
        InvalidRequest: an option names a column that does not exist.
    """
    asked = {
        "drop_rows": [drop.column for drop in options.drop_rows or () if drop.column is not None],
        "period_formats": list(options.period_formats or ()),
        "yes_no": options.yes_no or [],
    }
    for option, names in asked.items():
        for name in names:
            if name not in columns:
                use = Message("findings.in-option", option=option)
                raise unknown_column(name, use, columns, field=f"options.{option}")


def unknown_column(word: str, where: Message, columns: Sequence[str], *, field: str) -> InvalidRequest:
    """Return the error for an unknown column name, with the nearest names, the first few, and all as choices.

    Args:
        word: the unknown name.
        where: its use in the request.
        columns: the existing names.
        field: field of the request.
    """
    near = near_words(word, columns)
    parts = [part.strip() for part in word.split(",", _MOST_SHOWN)]
    hint = [Message("analysis.did-you-mean", words=near)] if near else []
    if len(parts) > 1 and all(part in columns for part in parts):
        hint = [Message("analysis.several-columns", columns=[f'"{part}"' for part in parts])]
    ordered = [*near, *(name for name in columns if name not in near)]
    more = len(ordered) - _MOST_SHOWN
    existing = Message("analysis.existing-columns", columns=ordered)
    if more > 0:
        existing = Message("analysis.existing-columns-and-more", columns=ordered[:_MOST_SHOWN], more=more)
    unknown = Message("analysis.unknown-column", column=shortened(word), use=where)
    return InvalidRequest(joined([unknown, *hint, existing]), field=field, choices=ordered)


def _by_names(mapped: Mapped, known: Mapping[str, str]) -> Mapped:
    if isinstance(mapped, tuple):
        return tuple(dict.fromkeys(known.get(word, word) for word in mapped))
    return known.get(mapped, mapped) if isinstance(mapped, str) else mapped


def _check_shared(roles: RoleMapping) -> None:
    taken: dict[str, str] = {}
    for role in _ALONE:
        for column in names_in(roles.get(role, ())):
            if column in taken:
                raise InvalidRequest(
                    Message("analysis.column-in-two-roles", column=column, role=taken[column], other=role),
                    field=f"mapping.{role}",
                )
            taken[column] = role
    for column in (*names_in(roles.get("covariates", ())), *names_in(roles.get("propensity_covariates", ()))):
        if taken.get(column) in ("y", "treatment"):
            raise InvalidRequest(
                Message("analysis.role-as-covariate", column=column, role=taken[column]),
                field="mapping.covariates",
            )


def _check_whole(roles: RoleMapping) -> None:
    """Reject an incomplete design.

    Raises:
        InvalidRequest: a role is mapped without the role that it needs.
    """
    needs = [*_TOGETHER, *((other, role) for role, other in _TOGETHER), ("intervention_time", "time")]
    for role, other in needs:
        if role in roles and other not in roles:
            raise InvalidRequest(Message("analysis.role-requires", role=role, other=other), field=f"mapping.{other}")


def names_in(mapped: object) -> tuple[str, ...]:
    """Return the columns that a role is mapped to; empty for a scalar."""
    if isinstance(mapped, str):
        return (mapped,)
    if isinstance(mapped, tuple):
        return tuple(str(name) for name in mapped)
    return ()


def columns_of(roles: RoleMapping) -> list[str]:
    """Return every mapped column, once."""
    names: dict[str, None] = {}
    for role, mapped in roles.items():
        if ROLES[role].arity != "scalar":
            names.update(dict.fromkeys(mapped if isinstance(mapped, tuple) else (str(mapped),)))
    return list(names)
