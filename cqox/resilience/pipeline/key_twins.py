"""Twins of a part or budget: objects with its settings and a state of their own, one for each key in use.

Twins are held weakly: as long as a policy or a call in progress holds that of a key, the key has the same one. What it
has counted remains.
"""

from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping
from threading import Lock
from typing import cast
from weakref import WeakValueDictionary, finalize

from cqox.resilience.pipeline.tally import Tallied, Tally

__all__ = ["KeyTwins", "family", "shallow_copy", "twins_of"]

_MOST_ENDED = 64


class KeyTwins[T: Tallied]:
    """The twins of one object by key. Safe for threads."""

    __slots__ = ("_counts", "_ended", "_lock", "_twins", "_version")

    def __init__(self) -> None:
        self._lock = Lock()
        # Tallies of twins that have ended, which may be anywhere, and so under the lock: they are added up later.
        self._ended: deque[Tally] = deque()
        self._counts = Counter[str]()
        self._twins: WeakValueDictionary[Hashable, T] = WeakValueDictionary()
        self._version = 0

    def of(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the twin of `key`, made by `make` where there is none."""
        while True:
            version = self._version
            twin = self._twins.get(key) or make()
            with self._lock:
                known = self._twins.get(key)
                if known is not None:
                    return known
                # A twin made while the settings changed may have the old ones.
                if version == self._version:
                    self._twins[key] = twin
                    self._remember(twin)
                    return twin

    def all(self) -> list[T]:
        """Return all twins, after a change of the settings that they are made with."""
        with self._lock:
            self._version += 1
            return self._alive()

    def with_counts(self) -> tuple[list[T], Mapping[str, int]]:
        """Return all twins, and the calls by outcome that those have counted which have ended."""
        with self._lock:
            alive = self._alive()
            self._add_up()
            return alive, dict(self._counts)

    def _alive(self) -> list[T]:
        return [twin for reference in self._twins.valuerefs() if (twin := reference()) is not None]

    def _remember(self, twin: T) -> None:
        tally = twin.tally()
        if tally is not None:
            finalize(twin, self._ended.append, tally).atexit = False
        if len(self._ended) > _MOST_ENDED:
            self._add_up()

    def _add_up(self) -> None:
        while self._ended:
            self._counts.update(self._ended.popleft().counts())


_creation = Lock()


def twins_of[T: Tallied](owner: T) -> KeyTwins[T]:
    """Return the twins of `owner`, which has a slot `_twins` that may be empty."""
    twins = getattr(owner, "_twins", None)
    if twins is None:
        with _creation:
            twins = getattr(owner, "_twins", None)
            if twins is None:
                twins = KeyTwins[T]()
                setattr(owner, "_twins", twins)  # noqa: B010 - a slot of a type that is not named here
    return cast("KeyTwins[T]", twins)


def family[T: Tallied](owner: T) -> tuple[list[T], Mapping[str, int]]:
    """Return `owner` with its twins, and the calls by outcome that twins have counted which have ended."""
    if getattr(owner, "_twins", None) is None:
        return [owner], {}
    twins, ended = twins_of(owner).with_counts()
    return [owner, *twins], ended


def shallow_copy[T](owner: T) -> T:
    """Return a copy of `owner` that shares all its attributes, except for its twins."""
    copy = object.__new__(type(owner))
    for kind in type(owner).__mro__:
        slots = cast("str | tuple[str, ...]", kind.__dict__.get("__slots__", ()))
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in ("__weakref__", "__dict__", "_twins") and hasattr(owner, slot):
                object.__setattr__(copy, slot, getattr(owner, slot))
    getattr(copy, "__dict__", {}).update(getattr(owner, "__dict__", {}))
    return copy
