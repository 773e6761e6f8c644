"""All policies and breakers of the process by name: to list them, force them, and set them differently at run time.

An entry lives as long as what it names. Two of one name are both listed, the later with a number behind its key.
"""

from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any, Protocol, cast
from weakref import WeakValueDictionary

__all__ = ["Operable", "Registry", "registry"]


class Operable(Protocol):
    """What the registry can operate."""

    def snapshot(self) -> object:
        """Its state at one moment."""
        ...

    def setting_names(self) -> frozenset[str]:
        """Names of the settings that `reconfigure` takes."""
        ...


class Registry:
    """Named policies and parts."""

    def __init__(self) -> None:
        self._entries: WeakValueDictionary[str, Operable] = WeakValueDictionary()
        self._lock = Lock()

    def add(self, key: str, entry: Operable) -> str:
        """List `entry` as `key`, or as `key#2` and so on where that is taken.

        Returns:
            The key.
        """
        with self._lock:
            free, number = key, 1
            while self._entries.get(free) not in (None, entry):
                number += 1
                free = f"{key}#{number}"
            self._entries[free] = entry
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
            raise KeyError(f"no policy is called {key!r}; there are: {', '.join(self.keys()) or 'none'}")
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

        Raises:
            KeyError: there is no such entry.
            TypeError: it has no such setting.
            ValueError: a setting is out of its range; nothing is changed.
        """
        entry = self[key]
        unknown = sorted(set(changes) - entry.setting_names())
        if unknown:
            known = ", ".join(sorted(entry.setting_names())) or "none"
            raise TypeError(f"{key!r} has no setting {unknown[0]!r} to change; it has: {known}")
        cast("Any", entry).reconfigure(**changes)

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
