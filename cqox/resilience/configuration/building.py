"""Policies and budgets from a checked file, and the changes that make existing ones equal to it."""

from collections.abc import Callable, Mapping
from typing import cast

from cqox.resilience.circuit import CircuitBreaker
from cqox.resilience.composition.policy import Policy
from cqox.resilience.configuration.reading import Described, key_path
from cqox.resilience.pipeline.part import Part
from cqox.resilience.retry.budget import RetryBudget

__all__ = ["build_budget", "build_policy", "prepare_budget", "prepare_policy", "same_parts"]


def build_budget(name: str, described: Described) -> RetryBudget:
    """Create the budget that the file calls `name`."""
    return cast("RetryBudget", described.kind.made_by(**{"name": name, **described.settings}))


def build_policy(name: str, parts: tuple[Described, ...], budgets: Mapping[str, RetryBudget]) -> Policy:
    """Create a policy, which lists itself in the registry of the process.

    Args:
        name: its name.
        parts: its parts, outermost first.
        budgets: the budgets of the file.

    Raises:
        ValueError: settings contradict each other.
        TypeError: a function is of a kind that does not fit.
    """
    return Policy(name, *(_build_part(name, part, budgets) for part in parts))


def _build_part(policy: str, part: Described, budgets: Mapping[str, RetryBudget]) -> Part:
    arguments = dict(part.settings)
    if "budget" in arguments:
        arguments["budget"] = budgets[cast("str", arguments["budget"])]
    if part.kind.made_by is CircuitBreaker:
        arguments.setdefault("name", f"{policy} circuit")
    try:
        return cast("Part", part.kind.made_by(**arguments))
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{part.at}: {error}") from error


def same_parts(before: tuple[Described, ...], after: tuple[Described, ...]) -> bool:
    """Return whether two descriptions have the same kinds and names of parts in the same order."""
    return [_identity(part) for part in before] == [_identity(part) for part in after]


def _identity(part: Described) -> tuple[str, object]:
    return part.kind.name, part.settings.get("name")


def prepare_policy(
    policy: Policy, before: tuple[Described, ...], after: tuple[Described, ...], problems: list[str]
) -> Callable[[], None]:
    """Check the settings of `after` for a running policy whose parts are the `same_parts`.

    Args:
        policy: the policy.
        before: its parts in the file at the last load.
        after: its parts in the file now.
        problems: one sentence is added for each setting that cannot be changed, or not to this.

    Returns:
        A function that applies them.
    """
    pending: dict[Part, dict[str, object]] = {}
    for part, old, new in zip(policy.parts, before, after, strict=True):
        wanted, changeable = new.kind.with_defaults(new.settings), part.setting_names()
        _refuse_fixed(old, new, changeable, problems)
        if changes := {name: value for name, value in wanted.items() if name in changeable}:
            pending[part] = changes
    try:
        return policy.prepare_parts(pending)
    except (ValueError, TypeError) as error:
        problems.append(f"{key_path('policies', policy.name)}: {error}")
        return lambda: None


def prepare_budget(budget: RetryBudget, before: Described, after: Described, problems: list[str]) -> Callable[[], None]:
    """Check the settings of `after` for a budget in use; see `prepare_policy`."""
    _refuse_fixed(before, after, frozenset({"ratio", "floor_per_second"}), problems)
    wanted = after.kind.with_defaults(after.settings)
    return budget.prepare(
        ratio=cast("float", wanted["ratio"]), floor_per_second=cast("float", wanted["floor_per_second"])
    )


def _refuse_fixed(before: Described, after: Described, changeable: frozenset[str], problems: list[str]) -> None:
    old, new = before.kind.with_defaults(before.settings), after.kind.with_defaults(after.settings)
    for name in after.kind.settings:
        if name not in changeable and old[name] != new[name]:
            problems.append(
                f"{after.at}.{name} cannot be changed while {after.kind.name} runs: it is {old[name]!r} until a "
                f"restart, not {new[name]!r}"
            )
