"""Parts of a request that the results do not use, reported so that an incomplete design is not ignored silently."""

from collections.abc import Sequence
from functools import partial

from cqox.contract import RoleMapping
from cqox.contract.messages import Message, joined
from cqox.diagnostics.sensitivity import UNCONFOUNDED
from cqox.estimators import Estimate, Estimator

__all__ = ["unused_assignment", "unused_roles"]

_OF_NO_DESIGN = ("unit_id", "cluster", "weights")
"""Roles that determine how rows are weighted or grouped, independent of the design."""

_PROXIES = ("proxy_treatment", "proxy_outcome")
"""One of these alone is a negative control or a control series: checks read it, and no estimator is made for it."""


_BY_START = ("did", "did_staggered")
"""Families of panels to which an assignment of the start of treatment speaks."""

_USERS = {"synthetic_control": _BY_START, "interrupted_series": (), "proximal": UNCONFOUNDED}
"""Families that rest on no assignment, with those that do for the same data."""


def unused_assignment(assignment: str, primary: str | None, estimates: Sequence[Estimate]) -> list[Message]:
    """Return a sentence on a declared assignment that the primary estimate does not rest on.

    Args:
        assignment: `options.assignment`.
        primary: name of the primary estimate of a contrast.
        estimates: the results for that contrast.
    """
    chosen = next((estimate for estimate in estimates if estimate.name == primary), None)
    reason = None if chosen is None or assignment == "unknown" else _reason(assignment, chosen)
    if chosen is None or reason is None:
        return []
    users = [each.name for each in estimates if each.family in _USERS[chosen.family] and each.estimate is not None]
    return [joined([reason, *([Message("analysis.assignment-used-by-others", others=users)] if users else [])])]


def _reason(assignment: str, chosen: Estimate) -> Message | None:
    match chosen.family:
        case "synthetic_control" if assignment == "randomized":
            return Message("analysis.assignment-unused-with-donors", assignment=assignment, primary=chosen.name)
        case "interrupted_series":
            return Message("analysis.assignment-unused-in-series", assignment=assignment, primary=chosen.name)
        case "proximal":
            return Message("analysis.assignment-unused-with-proxies", assignment=assignment, primary=chosen.name)
    return None


def unused_roles(roles: RoleMapping, chosen: Sequence[Estimator], estimates: Sequence[Estimate]) -> list[Message]:
    """Return a sentence for each mapped role whose estimators all gave no number.

    Includes roles that define the treatment (time and cohort, for example): an estimator that compares rows by them
    does not yet use the design that they describe.

    Args:
        roles: canonical role to mapped columns or value.
        chosen: the requested estimators.
        estimates: their results, for every contrast.
    """
    gave = {estimate.name for estimate in estimates if estimate.estimate is not None}
    used = {role for entry in chosen if entry.name in gave for role in (*entry.requires, *entry.optional)}
    reasons = {estimate.name: estimate.reason for estimate in estimates if estimate.reason}
    silent = [entry for entry in chosen if entry.name in reasons]
    controls = () if all(role in roles for role in _PROXIES) else _PROXIES
    unused = [role for role in roles if role not in used and role not in (*_OF_NO_DESIGN, *controls)]

    in_use = {entry.family for entry in chosen if entry.name in gave}

    def fit(entry: Estimator, role: str) -> tuple[bool, bool, int, int]:
        """Rank: a family in use, then one that requires the role, then most unused roles, then fewest missing ones."""
        return (
            entry.family not in in_use,
            role not in entry.requires,
            -sum(each in entry.requires for each in unused),
            sum(each not in roles for each in entry.requires),
        )

    reasons_of: dict[Message, list[str]] = {}
    for role in unused:
        asking = [entry for entry in silent if role in (*entry.requires, *entry.optional)]
        if not asking:
            continue
        nearest = min(asking, key=partial(fit, role=role))
        why = Message("diagnostics.estimator-not-computed", estimator=nearest.name, reason=reasons[nearest.name])
        reasons_of.setdefault(why, []).append(role)
    return [Message("analysis.design-unused", roles=names, reason=why) for why, names in reasons_of.items()]
