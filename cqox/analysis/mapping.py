"""What can be told of a mapping from names alone, before any data are read and without the libraries that read them."""

from collections.abc import Mapping, Sequence

from cqox.contract import ROLES, RoleMapping, near_words, shortened
from cqox.errors import InvalidRequest

__all__ = ["BY_LEVELS", "categorical_columns", "check_mapping", "columns_of", "names_in", "unknown_column"]

_COLUMNS_TOLD = 30

BY_LEVELS = (
    "treatment", "covariates", "propensity_covariates", "instrument", "mediator", "proxy_treatment", "proxy_outcome",
)  # fmt: skip
"""Roles of which words are taken by their levels and numbers as amounts."""

_CODES = ("unit_id", "cluster", "fixed_effects", "action", "edges", "sample", "post")
"""Roles of which numbers are no amounts anyhow."""

_DESIGNS = (
    {"treatment"}, {"dose"}, {"running", "cutoff"}, {"time", "cohort"}, {"time", "intervention_time"}, {"time", "post"},
    {"action", "reward"}, {"action", "y"}, {"reward", "target_policy"},
)  # fmt: skip
"""Roles that say who was treated, alone or together."""

# A unit may also be the cluster, a period the post indicator, and so on.
_ALONE = ("y", "reward", "treatment", "instrument", "weights", "pscore", "log_propensity")
"""Roles that may not share a column."""

_TOGETHER = (("running", "cutoff"), ("latitude", "longitude"), ("proxy_treatment", "proxy_outcome"))
"""Roles of which neither is of use without the other."""


def check_mapping(roles: RoleMapping, columns: Sequence[str]) -> None:
    """Check names alone, before any data is read.

    Raises:
        InvalidRequest: a column that does not exist, half of a design, no outcome, no treatment where the design gives
            none, or one column in two roles that exclude each other.
    """
    for role, mapped in roles.items():
        if ROLES[role].arity == "scalar":
            continue
        for column in names_in(mapped):
            if column not in columns:
                raise unknown_column(column, f"mapped as {role}", columns, field=f"mapping.{role}")
    _check_whole(roles)
    if not {"y", "reward"} & roles.keys() and not {"running", "cutoff"} <= roles.keys():
        raise InvalidRequest("The outcome is missing: map a column as 'y'.", field="mapping.y", choices=list(columns))
    _check_shared(roles)
    if not any(design <= roles.keys() for design in _DESIGNS):
        raise InvalidRequest(
            "The treatment is missing: map a column as 'treatment', or a design that defines it (running and cutoff, "
            "time and cohort, time and intervention_time, action and reward).",
            field="mapping.treatment",
            choices=list(columns),
        )


def categorical_columns(asked: Sequence[str], roles: RoleMapping, columns: Mapping[str, str]) -> list[str]:
    """The columns that `options.categorical` declares, each once.

    Args:
        asked: their names, or their headers as the file has them.
        roles: canonical role to what plays it.
        columns: the name of every column of the table, with its header in the file.

    Raises:
        InvalidRequest: a name that no column has, or the column of a role that takes numbers and no categories.
    """
    names: dict[str, None] = {}
    for word in asked:
        same = [word] if word in columns else [name for name, header in columns.items() if header == word]
        if len(same) != 1:
            raise unknown_column(word, "in options.categorical", list(columns), field="options.categorical")
        names[same[0]] = None
    for name in names:
        parts = [role for role in roles if ROLES[role].arity != "scalar" and name in names_in(roles[role])]
        if parts and not {*BY_LEVELS, *_CODES} & set(parts):
            raise InvalidRequest(
                f"The column '{name}' is mapped as {parts[0]}, which takes numbers and no categories; take it out of "
                "options.categorical.",
                field="options.categorical",
            )
    return list(names)


def unknown_column(word: str, where: str, columns: Sequence[str], *, field: str) -> InvalidRequest:
    """What to say of a name that no column has: the nearest names, the first few of all, and every one as a choice.

    Args:
        word: the name.
        where: how the request uses it.
        columns: the names that there are.
        field: of the request.
    """
    near = near_words(word, columns)
    parts = [part.strip() for part in word.split(",", _COLUMNS_TOLD)]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    if len(parts) > 1 and all(part in columns for part in parts):
        hint = f" Of several columns make a list: [{', '.join(f'"{part}"' for part in parts)}]."
    word = shortened(word)
    ordered = [*near, *(name for name in columns if name not in near)]
    more = f" and {len(ordered) - _COLUMNS_TOLD:,} more" if len(ordered) > _COLUMNS_TOLD else ""
    return InvalidRequest(
        f"The data set has no column '{word}' ({where}).{hint} It has: {', '.join(ordered[:_COLUMNS_TOLD])}{more}.",
        field=field,
        choices=ordered,
    )


def _check_shared(roles: RoleMapping) -> None:
    taken: dict[str, str] = {}
    for role in _ALONE:
        for column in names_in(roles.get(role, ())):
            if column in taken:
                raise InvalidRequest(
                    f"The column '{column}' is mapped as {taken[column]} and as {role}; it can play one of the two.",
                    field=f"mapping.{role}",
                )
            taken[column] = role
    for column in (*names_in(roles.get("covariates", ())), *names_in(roles.get("propensity_covariates", ()))):
        if taken.get(column) in ("y", "treatment"):
            raise InvalidRequest(
                f"The column '{column}' is mapped as {taken[column]} and as a covariate; an adjustment for it would "
                "remove the effect. Take it out of the covariates.",
                field="mapping.covariates",
            )


def _check_whole(roles: RoleMapping) -> None:
    """Refuse half of a design.

    Raises:
        InvalidRequest: a role is mapped without the one that it needs.
    """
    needs = [*_TOGETHER, *((other, role) for role, other in _TOGETHER), ("intervention_time", "time")]
    for role, other in needs:
        if role in roles and other not in roles:
            raise InvalidRequest(f"'{role}' needs '{other}' beside it; map both.", field=f"mapping.{other}")


def names_in(mapped: object) -> tuple[str, ...]:
    """The columns that a role is mapped to; none for a scalar."""
    if isinstance(mapped, str):
        return (mapped,)
    if isinstance(mapped, tuple):
        return tuple(str(name) for name in mapped)
    return ()


def columns_of(roles: RoleMapping) -> list[str]:
    """Every column that is mapped, once."""
    names: dict[str, None] = {}
    for role, mapped in roles.items():
        if ROLES[role].arity != "scalar":
            names.update(dict.fromkeys(mapped if isinstance(mapped, tuple) else (str(mapped),)))
    return list(names)
