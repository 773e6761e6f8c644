"""Policies of files: loading, reloading in place, and lookup by name.

All changes of a reload are validated first and then applied; a file with any problem changes nothing.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import cast
from weakref import WeakSet

from cqox.resilience.composition.policy import Policy
from cqox.resilience.configuration.building import (
    build_budget,
    build_policy,
    prepare_budget,
    prepare_policy,
    same_parts,
)
from cqox.resilience.configuration.dotted_names import near
from cqox.resilience.configuration.policy_by_name import PolicyByName, Waiting
from cqox.resilience.configuration.problems import PolicyFileInvalid, PolicyNotLoaded
from cqox.resilience.configuration.reading import Described, PolicyFile, key_path, read_policy_file
from cqox.resilience.pipeline.registry import Registry
from cqox.resilience.retry.budget import RetryBudget

__all__ = ["PolicyFiles"]


@dataclass(slots=True, kw_only=True)
class _Loaded:
    """A file in use: what it said at the last load, and what was made of it."""

    content: PolicyFile
    policies: dict[str, Policy]
    budgets: dict[str, RetryBudget]


class PolicyFiles:
    """The policy files of one registry. Safe for threads."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._loaded: dict[Path, _Loaded] = {}
        self._waiting: dict[str, WeakSet[Waiting]] = {}
        self._lock = Lock()

    def load(self, path: str | PathLike[str]) -> Mapping[str, Policy]:
        """See `Registry.load`."""
        path = Path(path)
        content = read_policy_file(path)
        with self._lock:
            if path.absolute() in self._loaded:
                raise PolicyFileInvalid(str(path), ["it is loaded already: reload it"])
            loaded = _Loaded(content=PolicyFile(budgets={}, policies={}), policies={}, budgets={})
            self._update(path, loaded, content)
            self._loaded[path.absolute()] = loaded
            return MappingProxyType(loaded.policies)

    def reload(self, path: str | PathLike[str]) -> tuple[str, ...]:
        """See `Registry.reload`."""
        path = Path(path)
        content = read_policy_file(path)
        with self._lock:
            loaded = self._loaded.get(path.absolute())
            if loaded is None:
                raise PolicyFileInvalid(str(path), ["it is not loaded: load it first"])
            differences = tuple(_differences(loaded.content, content))
            self._update(path, loaded, content)
            return differences

    def policy(self, name: str) -> PolicyByName:
        """See `Registry.policy`."""
        return PolicyByName(name, self._find, self._wait)

    def missing(self) -> list[str]:
        """See `Registry.missing`."""
        with self._lock:
            return sorted(name for name, waiting in self._waiting.items() if waiting and not self._is_there(name))

    def _find(self, name: str) -> Policy:
        with suppress(KeyError):
            found = self._registry[name]
            if isinstance(found, Policy):
                return found
        raise PolicyNotLoaded(name, near=near(name, self._registry))

    def _is_there(self, name: str) -> bool:
        try:
            self._find(name)
        except PolicyNotLoaded:
            return False
        return True

    def _wait(self, waiting: Waiting) -> None:
        with self._lock:
            self._waiting.setdefault(waiting.name, WeakSet()).add(waiting)

    def _update(self, path: Path, loaded: _Loaded, content: PolicyFile) -> None:
        """Make what was loaded equal to `content`, or raise `PolicyFileInvalid` and change nothing."""
        problems = _removed(loaded.content, content)
        changes = _changes(loaded, content, problems)
        added = self._added(loaded, content, problems)
        if problems:
            raise PolicyFileInvalid(str(path), problems)
        for change in (*changes, *added.uses):
            change()
        for name, policy in added.policies.items():
            self._registry.add(name, policy)
            self._waiting.pop(name, None)
        loaded.budgets.update(added.budgets)
        loaded.policies.update(added.policies)
        loaded.content = content

    def _added(self, loaded: _Loaded, content: PolicyFile, problems: list[str]) -> "_Added":
        """Create what only `content` has."""
        added = _Added(policies={}, budgets={}, uses=[])
        new = {name: parts for name, parts in content.policies.items() if name not in loaded.policies}
        problems.extend(
            f"{key_path('policies', name)}: the registry has an entry of that name already"
            for name in new
            if name in self._registry
        )
        if problems:
            return added
        added.budgets = {
            name: build_budget(name, described)
            for name, described in content.budgets.items()
            if name not in loaded.budgets
        }
        for name, parts in new.items():
            try:
                policy = added.policies[name] = build_policy(name, parts, loaded.budgets | added.budgets)
                added.uses += [waiting.prepare(policy) for waiting in self._waiting.get(name, ())]
            except (ValueError, TypeError) as error:
                at = key_path("policies", name)
                problems.append(str(error) if str(error).startswith(at) else f"{at}: {error}")
        if problems:
            # They must leave the registry, where an exception might keep this frame.
            added.policies.clear()
            added.uses.clear()
        return added


@dataclass(slots=True, kw_only=True)
class _Added:
    """New objects of a file, and functions by which what waits for them begins to use them."""

    policies: dict[str, Policy]
    budgets: dict[str, RetryBudget]
    uses: list[Callable[[], None]]


def _changes(loaded: _Loaded, content: PolicyFile, problems: list[str]) -> list[Callable[[], None]]:
    """Return functions that change what was loaded, after every change was checked."""
    changes: list[Callable[[], None]] = []
    for name, budget in loaded.budgets.items():
        if name in content.budgets:
            changes.append(prepare_budget(budget, loaded.content.budgets[name], content.budgets[name], problems))
    for name, policy in loaded.policies.items():
        before, after = loaded.content.policies[name], content.policies.get(name)
        if after is None:
            continue
        if same_parts(before, after):
            changes.append(prepare_policy(policy, before, after, problems))
        else:
            problems.append(
                f"{key_path('policies', name)}: the parts of a policy cannot be changed while it runs: they are "
                f"{_named(before)} until a restart, not {_named(after)}"
            )
    return changes


def _removed(before: PolicyFile, after: PolicyFile) -> list[str]:
    gone = [key_path("budgets", name) for name in before.budgets if name not in after.budgets]
    gone += [key_path("policies", name) for name in before.policies if name not in after.policies]
    return [f"{each} cannot be removed while functions may use it: it stays until a restart" for each in gone]


def _named(parts: tuple[Described, ...]) -> str:
    named = [
        f"{part.kind.name} {part.settings['name']!r}" if "name" in part.settings else part.kind.name for part in parts
    ]
    return ", ".join(named)


def _differences(before: PolicyFile, after: PolicyFile) -> list[str]:
    """Return the paths of the settings that differ, and of what is new."""
    found: list[str] = []
    for section in ("budgets", "policies"):
        old, new = (
            cast("Mapping[str, Described | tuple[Described, ...]]", getattr(file, section)) for file in (before, after)
        )
        for name, given in new.items():
            if name not in old:
                found.append(key_path(section, name))
                continue
            for was, now in zip(_each(old[name]), _each(given), strict=False):
                earlier, later = was.kind.with_defaults(was.settings), now.kind.with_defaults(now.settings)
                found += [f"{now.at}.{key}" for key in later if earlier.get(key) != later[key]]
    return found


def _each(described: Described | tuple[Described, ...]) -> tuple[Described, ...]:
    return (described,) if isinstance(described, Described) else described
