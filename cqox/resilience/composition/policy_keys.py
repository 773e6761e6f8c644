"""The policies of the keys of one policy: the most recently used ones are kept.

A key whose circuit is not as it was at first stays, also beyond the limit: to forget it would send the calls to what is
down again, and to refuse other keys would make an outage of many an outage of all. A key with a call in progress may
leave, but the call holds its parts, and they are those of the key when it returns (`pipeline.key_twins`).
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Protocol

from cqox.resilience.runtime.ranges import check_count

__all__ = ["KeyedPolicies", "Settled"]

# Keys that are looked at for each one that is added: it takes constant time, however many may not leave.
_LOOKS = 8


class Settled(Protocol):
    """A policy that may be forgotten."""

    def is_settled(self) -> bool:
        """Return whether a new policy would treat the next call in the same way."""
        ...


class KeyedPolicies[P: Settled]:
    """Policies by key, in the order of their last use. Safe for threads; each operation takes constant time."""

    __slots__ = ("_kept", "_lock", "most_keys")

    def __init__(self, most_keys: int) -> None:
        """Args:
        most_keys: number of keys above which the least recently used one that is settled is forgotten, at least 1.

        Raises:
            ValueError: it is out of its range.
        """
        self.most_keys = check_count("most_keys", most_keys)
        self._kept: OrderedDict[Hashable, P] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of keys that are kept."""
        return len(self._kept)

    def get(self, key: Hashable, make: Callable[[], P]) -> P:
        """Return the policy of `key`, made by `make` where it is not kept."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept
        made = make()
        with self._lock:
            policy = self._kept.setdefault(key, made)
            forgotten = self._evict() if policy is made else []
        # Policies end outside of the lock, as their parts may be those of others.
        del forgotten
        return policy

    def forget(self, key: Hashable) -> bool:
        """Forget a key; return whether it was kept."""
        with self._lock:
            policy = self._kept.pop(key, None)
        return policy is not None

    def all(self) -> dict[Hashable, P]:
        """Return the policies that are kept, least recently used first."""
        with self._lock:
            return dict(self._kept)

    def _evict(self) -> list[P]:
        """Remove settled policies, least recently used first; one that is not settled counts as just used."""
        evicted: list[P] = []
        for _ in range(min(_LOOKS, len(self._kept) - 1)):
            if len(self._kept) <= self.most_keys:
                break
            key, policy = self._kept.popitem(last=False)
            if policy.is_settled():
                evicted.append(policy)
            else:
                self._kept[key] = policy
        return evicted
