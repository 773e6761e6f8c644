"""Roles that a client mapped for nothing, and why: a design that lacks a role would be passed over in silence."""

from collections.abc import Sequence

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

    def fit(entry: Estimator) -> tuple[int, int]:
        """Most of what is unused, then least that is missing."""
        return -sum(role in entry.requires for role in unused), sum(role not in roles for role in entry.requires)

    told: dict[str, list[str]] = {}
    for role in unused:
        asking = [entry for entry in silent if role in entry.requires]
        asking = asking or [entry for entry in silent if role in entry.optional]
        if not asking:
            continue
        nearest = min(asking, key=fit)
        told.setdefault(f"{nearest.name} was not computed. {reasons[nearest.name]}", []).append(role)
    return [
        f"Nothing was computed that is made for the design of {_words(names)}: {why}" for why, names in told.items()
    ]


def _words(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
