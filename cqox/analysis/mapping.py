"""What can be told of a mapping from names alone, before any data are read and without the libraries that read them."""

import difflib
from collections.abc import Sequence

from cqox.contract import ROLES, RoleMapping
from cqox.errors import InvalidRequest

__all__ = ["check_mapping", "columns_of", "names_in"]

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
                near = difflib.get_close_matches(column, columns, n=3, cutoff=0.5)
                hint = f" Did you mean {' or '.join(near)}?" if near else ""
                ordered = [*near, *(name for name in columns if name not in near)]
                raise InvalidRequest(
                    f"The data set has no column '{column}' (mapped as {role}).{hint} It has: {', '.join(ordered)}.",
                    field=f"mapping.{role}",
                    choices=ordered,
                )
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
