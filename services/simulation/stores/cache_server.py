"""A Redis server in memory: values with a time to live, a bound on the memory, and what a restart loses."""

from collections.abc import Callable
from random import Random

import redis

from cqox.storage.redis.cache import CLAIM, RELEASE
from services.simulation.stores.server import CallFault, Conditions, SimulatedServer

__all__ = ["CacheServer"]

_ENTRY_BYTES = 96
"""Overhead of an entry."""


class CacheServer(SimulatedServer):
    """A cache server, empty.

    Like a Redis with an append-only file that is flushed each second, it loses the last second of writes when it is
    killed; without the file it loses all.

    Args:
        rng: draws delays, faults and the outcome of races.
        now: clock of the server, Unix time in seconds.
        conditions: at first.
        max_bytes: bound on the memory; the least recently used values are evicted.
        persistent: whether there is such a file; compose.yaml starts one without.
    """

    def __init__(
        self,
        *,
        rng: Random,
        now: Callable[[], float],
        conditions: Conditions | None = None,
        max_bytes: int = 64 * 1024 * 1024,
        persistent: bool = False,
    ) -> None:
        """See the class."""
        super().__init__(rng=rng, now=now, conditions=conditions)
        self._max_bytes = max_bytes
        self._persistent = persistent
        # In the order of their last use, oldest first: the value, and when it expires.
        self._held = dict[bytes, tuple[bytes, float]]()
        self._bytes = 0
        self._unflushed = list[tuple[bytes, tuple[bytes, float] | None]]()
        self._flushed_in = 0
        self._refuses_writes = False

    @property
    def size_bytes(self) -> int:
        """Memory of all values now, in bytes."""
        return self._bytes

    def lose(self) -> None:
        """Lose the writes of up to the last second, or everything."""
        if not self._persistent:
            self._held.clear()
            self._bytes = 0
        elif self._second == self._flushed_in:
            for name, earlier in reversed(self._unflushed):
                self._replace(name, earlier)
        self._unflushed.clear()

    def perform[T](self, call: Callable[[], T], *, fault: CallFault | None = None) -> T:
        """Carry out the commands of one call, at once.

        Args:
            call: the call.
            fault: if `DISK`, writes are refused.

        Raises:
            redis.ResponseError: as by Redis.
        """
        self._refuses_writes = fault is CallFault.DISK
        try:
            return call()
        finally:
            self._refuses_writes = False

    @property
    def _second(self) -> int:
        return int(self.now())

    def get(self, name: bytes) -> bytes | None:
        """Return the value of a key, or None."""
        found = self._held.get(name)
        if found is None:
            return None
        if found[1] <= self.now():
            self._replace(name, None)
            return None
        self._held[name] = self._held.pop(name)
        return found[0]

    def set(self, name: bytes, value: bytes, *, px: int) -> None:
        """Set the value of a key for so many milliseconds.

        Raises:
            redis.exceptions.OutOfMemoryError: there is no room for it.
        """
        if len(name) + len(value) + _ENTRY_BYTES > self._max_bytes or self.conditions.disk_full:
            raise redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
        self._write(name, (value, self.now() + px / 1000))
        while self._bytes > self._max_bytes:
            self._write(next(iter(self._held)), None)

    def delete(self, *names: bytes) -> int:
        """Delete keys; return how many there were."""
        there = [name for name in dict.fromkeys(names) if self.get(name) is not None]
        for name in there:
            self._write(name, None)
        return len(there)

    def eval(self, script: str, numkeys: int, *keys_and_args: bytes | str) -> int:
        """Do what a script of the cache does.

        Raises:
            ValueError: it is another script.
        """
        key, token, *rest = keys_and_args
        if numkeys != 1 or not isinstance(key, bytes) or not isinstance(token, str):
            raise ValueError("the scripts of the cache have one key, and a token")
        holder = self.get(key)
        if script == CLAIM:
            if holder not in (None, token.encode()):
                return 0
            self.set(key, token.encode(), px=int(rest[0]))
            return 1
        if script == RELEASE:
            return self.delete(key) if holder == token.encode() else 0
        raise ValueError("no script of the cache")

    def _write(self, name: bytes, entry: tuple[bytes, float] | None) -> None:
        if self._refuses_writes:
            raise redis.ResponseError("MISCONF Redis is configured to save RDB snapshots, but cannot persist on disk.")
        if self._second != self._flushed_in:
            # Flushed at the end of each second.
            self._unflushed.clear()
            self._flushed_in = self._second
        self._unflushed.append((name, self._held.get(name)))
        self._replace(name, entry)

    def _replace(self, name: bytes, entry: tuple[bytes, float] | None) -> None:
        earlier = self._held.pop(name, None)
        if earlier is not None:
            self._bytes -= len(name) + len(earlier[0]) + _ENTRY_BYTES
        if entry is not None:
            self._held[name] = entry
            self._bytes += len(name) + len(entry[0]) + _ENTRY_BYTES
