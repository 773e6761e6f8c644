"""Roles that a client mapped for nothing, and why: a design that lacks a role would be passed over in silence."""

from collections.abc import Sequence
from functools import partial

from cqox.contract import RoleMapping
from cqox.estimators import Estimate, Estimator

__all__ = ["unused_roles"]

_OF_NO_DESIGN = ("unit_id", "cluster", "weights")
"""Roles that say how rows count, whatever is estimated."""


def unused_roles(roles: RoleMapping, chosen: Sequence[Estimator], estimates: Sequence[Estimate]) -> list[str]:
    """A sentence for each mapped role whose estimators all gave no number.

    Roles that say who was treated (time and cohort, say) are told of too: that rows are compared by them is not yet a
    use of the design that they describe.

    Args:
        roles: canonical role to what plays it.
        chosen: the estimators that were asked.
        estimates: what they answered, for every contrast.
    """
    gave = {estimate.name for estimate in estimates if estimate.estimate is not None}
    used = {role for entry in chosen if entry.name in gave for role in (*entry.requires, *entry.optional)}
    reasons = {estimate.name: estimate.reason for estimate in estimates if estimate.reason}
    silent = [entry for entry in chosen if entry.name in reasons]
    unused = [role for role in roles if role not in used and role not in _OF_NO_DESIGN]

    in_use = {entry.family for entry in chosen if entry.name in gave}

    def fit(entry: Estimator, role: str) -> tuple[bool, bool, int, int]:
        """A family in use, then one made for the role, then most of what is unused, then least that is missing."""
        return (
            entry.family not in in_use,
            role not in entry.requires,
            -sum(each in entry.requires for each in unused),
            sum(each not in roles for each in entry.requires),
        )

    told: dict[str, list[str]] = {}
    for role in unused:
        asking = [entry for entry in silent if role in (*entry.requires, *entry.optional)]
        if not asking:
            continue
        nearest = min(asking, key=partial(fit, role=role))
        told.setdefault(f"{nearest.name} was not computed. {reasons[nearest.name]}", []).append(role)
    return [
        f"Nothing was computed that is made for the design of {_words(names)}: {why}" for why, names in told.items()
    ]


def _words(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
