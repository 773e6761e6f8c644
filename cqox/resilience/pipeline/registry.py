"""Registry of all policies and breakers of the process, to list, operate and reconfigure them at run time.

An entry lives as long as its object. Of two objects with one name, the later has a number appended to its key.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from os import PathLike
from threading import Lock
from typing import Any, ClassVar, Protocol, cast
from weakref import WeakValueDictionary

__all__ = ["Decorator", "Guard", "LoadedPolicy", "NamedPolicy", "Operable", "PolicyFiles", "Registry", "registry"]

# Dead entries that accumulate before the bookkeeping is purged.
_SPARE = 256
_MOST_NAMED = 20


class Operable(Protocol):
    """An object that the registry can list and operate."""

    def snapshot(self) -> object:
        """Return its current state."""
        ...

    def setting_names(self) -> frozenset[str]:
        """Return the names of the settings that `reconfigure` takes."""
        ...


class Decorator(Protocol):
    """Guards functions; their signatures and types stay."""

    def __call__[F: Callable[..., object]](self, function: F, /) -> F:
        """Guard `function`."""
        ...


class Guard(
    Decorator, AbstractContextManager["LoadedPolicy", None], AbstractAsyncContextManager["LoadedPolicy", None], Protocol
):
    """The interface of a policy and of its name: a decorator, single calls, blocks, and the policies of keys."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    def call[**P, R](self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` once."""
        ...

    def for_key(self, key: Hashable) -> "LoadedPolicy":
        """Return the policy of a key."""
        ...

    def keyed(self, by: str | Callable[..., Hashable]) -> Decorator:
        """Return a decorator whose functions call through the policy of the key of each call."""
        ...


class NamedPolicy(Guard, Protocol):
    """A policy by its name, which may be created later."""

    def loaded(self) -> "LoadedPolicy":
        """Return the policy."""
        ...


class LoadedPolicy(Guard, Operable, Protocol):
    """A `Policy` from a file."""

    def explain(self) -> str:
        """Describe the order, with one line per part and one line per warning."""
        ...

    def reconfigure(self, **changes: object) -> None:
        """Change settings of the parts and keep their state."""
        ...


class PolicyFiles(Protocol):
    """The policy files of a registry; the methods are those of `Registry`."""

    def load(self, path: str | PathLike[str]) -> Mapping[str, LoadedPolicy]:
        """See `Registry.load`."""
        ...

    def reload(self, path: str | PathLike[str]) -> tuple[str, ...]:
        """See `Registry.reload`."""
        ...

    def policy(self, name: str) -> NamedPolicy:
        """See `Registry.policy`."""
        ...

    def missing(self) -> list[str]:
        """See `Registry.missing`."""
        ...


class Registry:
    """Named policies and parts. Every operation except listing takes constant time."""

    new_files: ClassVar[Callable[["Registry"], PolicyFiles]]
    """Creates the policy files of a registry; set by `configuration`, which knows every kind of part."""

    def __init__(self) -> None:
        self._files: PolicyFiles | None = None
        self._entries: WeakValueDictionary[str, Operable] = WeakValueDictionary()
        # The highest number in use for each name. All higher numbers are free, unless a caller chose such a name.
        self._highest: dict[str, int] = {}
        # The key of each entry by its `id`; valid only if the entry is listed under that key.
        self._key_of: dict[int, str] = {}
        self._lock = Lock()

    def add(self, key: str, entry: Operable) -> str:
        """Register `entry` as `key`, or as `key#2` and so on where that is taken.

        Returns:
            The key.
        """
        with self._lock:
            listed = self._entries.get(key)
            if listed is None or listed is entry:
                free = key
            else:
                known = self._key_of.get(id(entry), "")
                if known.startswith(f"{key}#") and self._entries.get(known) is entry:
                    return known
                free = self._next_free(key)
            self._entries[free] = entry
            self._key_of[id(entry)] = free
            if len(self._key_of) > 2 * len(self._entries) + _SPARE:
                self._drop_dead_entries()
            return free

    def load(self, path: str | PathLike[str]) -> Mapping[str, LoadedPolicy]:
        """Create the policies of a file in TOML or YAML, and keep them until the process ends.

        Functions that name one of them by `policy` are guarded from now on. Modules that the file names are imported.

        Args:
            path: a file whose name ends in `.toml`, `.yaml` or `.yml`.

        Returns:
            The policies by name; later reloads add theirs.

        Raises:
            PolicyFileInvalid: with every problem of the file; nothing was created.
            OSError: the file cannot be read.
        """
        return self._policy_files().load(path)

    def reload(self, path: str | PathLike[str]) -> tuple[str, ...]:
        """Set the policies of a loaded file to what it says now, without losing their state.

        A setting that the file no longer gives returns to its default, as does one that `reconfigure` changed. New
        policies are created. Calls in progress continue.

        Args:
            path: the file, as it was loaded.

        Returns:
            The paths in the file of the settings that differ from the last load, and of new policies and budgets.

        Raises:
            PolicyFileInvalid: the file is wrong, was not loaded, or changes what a running part cannot change; nothing
                was changed.
            OSError: the file cannot be read.
        """
        return self._policy_files().reload(path)

    def policy(self, name: str) -> NamedPolicy:
        """Return the policy of a name, which may be created later: a decorator, and what adapters take as a policy.

        A call before there is a policy of that name raises `PolicyNotLoaded` and executes nothing.

        Raises:
            ValueError: the name is empty or not a string.
        """
        return self._policy_files().policy(name)

    def missing(self) -> list[str]:
        """Return the names that functions and adapters give by `policy` and that no policy has, sorted."""
        return self._policy_files().missing()

    def keys(self) -> list[str]:
        """Return the keys of all entries, sorted."""
        return [key for key, _ in self._listed()]

    def __getitem__(self, key: str) -> Operable:
        """Return the entry of `key`.

        Raises:
            KeyError: there is none; the message lists the existing keys.
        """
        entry = self._entries.get(key)
        if entry is None:
            keys = self.keys()
            more = f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else ""
            raise KeyError(f"no policy is called {key!r}; there are: {', '.join(keys[:_MOST_NAMED]) or 'none'}{more}")
        return entry

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def snapshot(self) -> Mapping[str, object]:
        """Return the state of every entry by its key."""
        return {key: entry.snapshot() for key, entry in self._listed()}

    def explain(self) -> str:
        """Describe every policy as its `explain` does, with warnings, and in one line each part that is in none."""
        listed = self._listed()
        policies = [(key, entry) for key, entry in listed if hasattr(entry, "explain")]
        inside = {id(part) for _, policy in policies for part in getattr(policy, "parts", ())}
        lines = list[str]()
        for key, policy in policies:
            # The number of a second policy of one name is in its key alone.
            title = "" if key == getattr(policy, "name", key) else f"{key}: "
            lines.append(title + cast("Any", policy).explain())
        lines += [
            f"{key}: {cast('Any', entry).describe()}"
            for key, entry in listed
            if hasattr(entry, "describe") and not hasattr(entry, "explain") and id(entry) not in inside
        ]
        return "\n".join(lines)

    def isolate(self, key: str) -> None:
        """Make the circuits of `key` reject every call until `reset`.

        Raises:
            KeyError: there is no such entry.
            TypeError: it has no circuit.
        """
        self._operate(key, "isolate")

    def disable(self, key: str) -> None:
        """Make the circuits of `key` let every call through until `reset`; raises as `isolate` does."""
        self._operate(key, "disable")

    def observe_only(self, key: str) -> None:
        """Make the circuits of `key` observe without enforcing until `reset`; raises as `isolate` does."""
        self._operate(key, "observe_only")

    def reset(self, key: str) -> None:
        """Close the circuits of `key` and return them to normal mode; raises as `isolate` does."""
        self._operate(key, "reset")

    def reconfigure(self, key: str, **changes: object) -> None:
        """Change settings of `key` and keep its state.

        Args:
            key: the entry.
            changes: settings by name. A policy whose parts share a name takes `part.setting`; see
                `Policy.reconfigure`.

        Raises:
            KeyError: there is no such entry.
            TypeError: it has no such setting, or several of that name.
            ValueError: a setting is out of its range or contradicts another; no setting is changed.
        """
        entry = self[key]
        check = getattr(entry, "check_settings", None)
        if check is not None:
            check(changes)
        else:
            unknown = sorted(set(changes) - entry.setting_names())
            if unknown:
                known = ", ".join(sorted(entry.setting_names())) or "none"
                raise TypeError(f"{key!r} has no setting {unknown[0]!r} to change; it has: {known}")
        cast("Any", entry).reconfigure(**changes)

    def __repr__(self) -> str:
        return f"<Registry: {len(self._entries)} policies and parts>"

    def _policy_files(self) -> PolicyFiles:
        if self._files is None:
            # Outside of the lock, as it imports modules, which may add entries.
            files = Registry.new_files(self)
            with self._lock:
                if self._files is None:
                    self._files = files
        return self._files

    def _next_free(self, key: str) -> str:
        """Return the next free numbered key; each step down undoes an earlier step up, so it is O(1) amortised."""
        number = self._highest.get(key, 1)
        while number > 1 and f"{key}#{number}" not in self._entries:
            number -= 1
        number += 1
        while (free := f"{key}#{number}") in self._entries:  # a caller's own choice
            number += 1
        self._highest[key] = number
        return free

    def _drop_dead_entries(self) -> None:
        """Purge bookkeeping of dead entries; it halves the tables, so the cost per addition is O(1) amortised."""
        references = self._entries.valuerefs()
        alive = [(reference.key, entry) for reference in references if (entry := reference()) is not None]
        self._key_of = {id(entry): key for key, entry in alive}
        named = {key for key, _ in alive} | {key.rpartition("#")[0] for key, _ in alive}
        self._highest = {key: number for key, number in self._highest.items() if key in named}

    def _listed(self) -> list[tuple[str, Operable]]:
        """Return all entries by key. The references are copied atomically, as other threads add and drop entries."""
        references = sorted(self._entries.valuerefs(), key=lambda reference: reference.key)
        return [(reference.key, entry) for reference in references if (entry := reference()) is not None]

    def _operate(self, key: str, operation: str) -> None:
        entry = self[key]
        operate = getattr(entry, operation, None)
        if operate is None:
            raise TypeError(f"{key!r} has no circuit to {operation.replace('_', ' ')}")
        operate()


registry = Registry()
"""The registry of this process."""
