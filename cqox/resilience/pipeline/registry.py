"""All policies and breakers of the process by name: to list them, force them, and set them differently at run time.

An entry lives as long as what it names. Two of one name are both listed, the later with a number behind its key.
"""

from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any, Protocol, cast
from weakref import WeakValueDictionary

__all__ = ["Operable", "Registry", "registry"]

# Entries that may come and go before what is noted of the dead is looked through.
_SPARE = 256
_MOST_NAMED = 20


class Operable(Protocol):
    """What the registry can operate."""

    def snapshot(self) -> object:
        """Its state at one moment."""
        ...

    def setting_names(self) -> frozenset[str]:
        """Names of the settings that `reconfigure` takes."""
        ...


class Registry:
    """Named policies and parts. All but the lists of everything take the same time however many there are."""

    def __init__(self) -> None:
        self._entries: WeakValueDictionary[str, Operable] = WeakValueDictionary()
        # For a name that was taken: its highest number in use. Above it all numbers are free, names of callers apart.
        self._highest: dict[str, int] = {}
        # The key of each entry by its `id`, which is only believed if the entry is listed under that key.
        self._key_of: dict[int, str] = {}
        self._lock = Lock()

    def add(self, key: str, entry: Operable) -> str:
        """List `entry` as `key`, or as `key#2` and so on where that is taken.

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

    def keys(self) -> list[str]:
        """The keys of all entries, sorted."""
        return [key for key, _ in self._listed()]

    def __getitem__(self, key: str) -> Operable:
        """The entry of that key.

        Raises:
            KeyError: there is none; the message names those that there are.
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
        """The state of every entry by its key."""
        return {key: entry.snapshot() for key, entry in self._listed()}

    def isolate(self, key: str) -> None:
        """Make the circuits of `key` refuse every call until `reset`.

        Raises:
            KeyError: there is no such entry.
            TypeError: it has no circuit.
        """
        self._operate(key, "isolate")

    def disable(self, key: str) -> None:
        """Make the circuits of `key` let every call through until `reset`; raises as `isolate` does."""
        self._operate(key, "disable")

    def observe_only(self, key: str) -> None:
        """Make the circuits of `key` judge and let every call through until `reset`; raises as `isolate` does."""
        self._operate(key, "observe_only")

    def reset(self, key: str) -> None:
        """Close the circuits of `key` and let them decide by themselves; raises as `isolate` does."""
        self._operate(key, "reset")

    def reconfigure(self, key: str, **changes: object) -> None:
        """Give `key` other settings without losing its state.

        Args:
            key: the entry.
            changes: settings by name. A policy whose parts share a name takes `part.setting`; see
                `Policy.reconfigure`.

        Raises:
            KeyError: there is no such entry.
            TypeError: it has no such setting, or several of that name.
            ValueError: a setting is out of its range, or contradicts another; nothing is changed.
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

    def _next_free(self, key: str) -> str:
        """The next numbered key. A step down undoes one that an earlier call made up, so it is O(1) on average."""
        number = self._highest.get(key, 1)
        while number > 1 and f"{key}#{number}" not in self._entries:
            number -= 1
        number += 1
        while (free := f"{key}#{number}") in self._entries:  # a caller's own choice
            number += 1
        self._highest[key] = number
        return free

    def _drop_dead_entries(self) -> None:
        """Drop what was noted for entries that are gone; as it halves what there is, an addition pays O(1) for it."""
        references = self._entries.valuerefs()
        alive = [(reference.key, entry) for reference in references if (entry := reference()) is not None]
        self._key_of = {id(entry): key for key, entry in alive}
        named = {key for key, _ in alive} | {key.rpartition("#")[0] for key, _ in alive}
        self._highest = {key: number for key, number in self._highest.items() if key in named}

    def _listed(self) -> list[tuple[str, Operable]]:
        """All entries by key. The references are copied in one step, as other threads add entries and drop them."""
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
