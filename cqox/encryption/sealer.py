"""Sealing and opening for one tenant: the key ring with the data keys that this process knows."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from logging import getLogger
from typing import IO

from cqox.contract.messages import Message
from cqox.encryption.keyring import DataKey, KeyDestroyed, KeyRing, KeysUnavailable
from cqox.errors import StoreUnavailable

__all__ = ["Sealer"]

_MOST_KEYS = 10_000
_RENEW_SECONDS = 3600.0
_ASK_SECONDS = 60.0
_logger = getLogger("cqox.encryption")


class Sealer:
    """Seals and opens what belongs to one tenant. Blocking where a data key is not known yet; safe from any thread.

    New objects are sealed under one data key for an hour, and under another one within a minute after the tenant's key
    was rotated. Data keys that were asked for stay in memory, so that a ring which is away later stops neither reading
    nor writing of what is in use.

    Args:
        ring: the key ring.
        tenant_id: the tenant.
        now: monotonic clock, in seconds.
    """

    def __init__(self, ring: KeyRing, tenant_id: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._ring = ring
        self._tenant_id = tenant_id
        self._now = now
        # Never held while the ring is asked; the first key alone is worth waiting for.
        self._lock, self._first = threading.Lock(), threading.Lock()
        self._is_asking = False
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        self._current: DataKey | None = None
        self._made_at = self._asked_at = 0.0

    def data_key(self) -> DataKey:
        """Return the data key for new objects.

        Raises:
            StoreUnavailable: the ring is away, and this process has none yet.
        """
        now = self._now()
        with self._lock:
            current = self._current
            if current is not None:
                if self._is_asking or now - self._asked_at < _ASK_SECONDS:
                    return current
                self._is_asking = True
        if current is None:
            return self._first_key(now)
        # Without the lock: a ring that does not answer keeps nobody waiting but this caller.
        try:
            return self._renewed(current, now)
        finally:
            with self._lock:
                self._is_asking, self._asked_at = False, now

    def key_of(self, wrapped: bytes) -> bytes:
        """Return the data key of a wrapped one.

        Raises:
            StoreUnavailable: the ring is away, or the tenant's key is destroyed.
        """
        with self._lock:
            found = self._known.get(wrapped)
            if found is not None:
                self._known.move_to_end(wrapped)
                return found
        try:
            found = self._ring.unwrap(self._tenant_id, wrapped)
        except KeysUnavailable as error:
            raise _away(error) from error
        except KeyDestroyed as error:
            _logger.error("Something sealed cannot be opened: %s", error)
            raise StoreUnavailable(Message("encryption.key-gone")) from error
        self._learn(wrapped, found)
        return found

    def is_current(self, wrapped: bytes) -> bool:
        """Return whether a data key is wrapped by the tenant's newest key.

        Raises:
            StoreUnavailable: the ring is away.
        """
        try:
            return self._ring.is_current(self._tenant_id, wrapped)
        except KeysUnavailable as error:
            raise _away(error) from error

    def seal(self, plain: bytes, context: str) -> bytes:
        """Return bytes sealed.

        Args:
            plain: the bytes.
            context: what they are; the same words open them.

        Raises:
            StoreUnavailable: see `data_key`.
        """
        from cqox.encryption.sealed_stream import seal_bytes

        return seal_bytes(plain, self.data_key(), self._within(context))

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the plain text of sealed bytes.

        Raises:
            SealBroken: they were changed, cut off, or sealed as something else.
            StoreUnavailable: see `key_of`.
        """
        from cqox.encryption.sealed_stream import open_bytes

        return open_bytes(sealed, self.key_of, self._within(context))

    def opened(self, file: IO[bytes], context: str) -> Iterator[bytes]:
        """Yield the plain text of a sealed file, a part at a time; see `open`."""
        from cqox.encryption.sealed_stream import opened

        return opened(file, self.key_of, self._within(context))

    def context(self, words: str) -> str:
        """Return the full context of an object of this tenant, for processes that are given a data key alone."""
        return self._within(words)

    def _within(self, context: str) -> str:
        return f"{self._tenant_id}\0{context}"

    def _first_key(self, now: float) -> DataKey:
        with self._first:
            # Another thread may have asked meanwhile.
            if self._current is None:
                try:
                    self._use(self._ring.new_data_key(self._tenant_id), now)
                except KeysUnavailable as error:
                    raise _away(error) from error
            assert self._current is not None
            return self._current

    def _renewed(self, current: DataKey, now: float) -> DataKey:
        try:
            is_due = now - self._made_at >= _RENEW_SECONDS
            if not is_due and self._ring.is_current(self._tenant_id, current.wrapped):
                return current
            new = self._ring.new_data_key(self._tenant_id)
        except KeysUnavailable as error:
            _logger.warning("The key ring is away, and the present data key is used on: %s", error)
            return current
        self._use(new, now)
        return new

    def _use(self, key: DataKey, now: float) -> None:
        self._learn(key.wrapped, key.plain)
        with self._lock:
            self._current, self._made_at, self._asked_at = key, now, now

    def _learn(self, wrapped: bytes, plain: bytes) -> None:
        with self._lock:
            self._known[wrapped] = plain
            while len(self._known) > _MOST_KEYS:
                self._known.popitem(last=False)


def _away(error: KeysUnavailable) -> StoreUnavailable:
    return StoreUnavailable(Message("encryption.keys-away", reason=str(error)))
