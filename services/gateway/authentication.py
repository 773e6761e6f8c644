"""Authentication at the gateway: API keys, which an engine resolves, with what it answered kept for a while.

A flood of forged keys costs an engine little: malformed ones are refused here, equal ones are asked about once, and
those that were never valid share a few places, apart from those of keys that were.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import trio

from cqox import clock
from cqox.contract.messages import Message
from cqox.errors import CqoxError, NotAuthenticated, RateLimited
from cqox.security import ApiKey, Principal, Refusal, Verdict, Verdicts, digest_of, parse_key
from services.http.security.credentials import bearer_token
from services.http.security.operator import operator_of

__all__ = ["KeyAuthenticator", "Resolve"]

type Resolve = Callable[[str, bytes], Awaitable[tuple[Verdict, float]]]
"""Asks an engine who holds a key, by its id and digest; returns the verdict and for how many seconds it holds."""

_PLACES_OF_STRANGERS = 4
_MOST_WAITING_STRANGERS = 32


class _Flight:
    """One question to an engine, which equal requests wait for."""

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.error: CqoxError | None = None


class KeyAuthenticator:
    """Establishes the principal of a request by its API key, or by the operator's token.

    Args:
        resolve: asks an engine.
        admin_token: the operator's token for this port; empty for none.
        clock: returns seconds; it never goes back.
    """

    def __init__(self, resolve: Resolve, *, admin_token: str, clock: Callable[[], float] = clock.monotonic) -> None:
        self._resolve = resolve
        self._admin_token = admin_token
        self._clock = clock
        self._verdicts = Verdicts()
        self._flights: dict[bytes, _Flight] = {}
        self._strangers = trio.CapacityLimiter(_PLACES_OF_STRANGERS)

    def recall(self, scope: MutableMapping[str, Any]) -> Principal | None:
        """See `Authenticator`."""
        token = bearer_token(scope["headers"])
        key = parse_key(token)
        if key is None:
            operator = operator_of(token, self._admin_token)
            if operator is None:
                raise _unknown()
            return operator
        return _accepted(self._verdicts.recall(digest_of(key), now=self._clock()))

    async def look_up(self, scope: MutableMapping[str, Any]) -> Principal:
        """See `Authenticator`."""
        key = parse_key(bearer_token(scope["headers"]))
        if key is None:
            raise _unknown()
        digest = digest_of(key)
        while True:
            principal = _accepted(self._verdicts.recall(digest, now=self._clock()))
            if principal is not None:
                return principal
            flight = self._flights.get(digest)
            if flight is None:
                await self._ask(key, digest)
                continue
            await flight.ended.wait()
            if flight.error is not None:
                raise flight.error

    def forget(self, key_id: str) -> None:
        """Forget the verdict on a key that was revoked by way of this gateway."""
        self._verdicts.forget(key_id)

    async def _ask(self, key: ApiKey, digest: bytes) -> None:
        flight = self._flights[digest] = _Flight()
        try:
            if self._verdicts.was_valid(key.key_id, digest):
                verdict, seconds = await self._resolve(key.key_id, digest)
            else:
                verdict, seconds = await self._ask_of_stranger(key.key_id, digest)
            self._verdicts.remember(key.key_id, digest, verdict, now=self._clock(), seconds=seconds)
        except CqoxError as error:
            flight.error = error
            raise
        finally:
            # After a cancellation the next of those that wait asks.
            del self._flights[digest]
            flight.ended.set()

    async def _ask_of_stranger(self, key_id: str, digest: bytes) -> tuple[Verdict, float]:
        if self._strangers.statistics().tasks_waiting >= _MOST_WAITING_STRANGERS:
            raise RateLimited("unknown API keys", retry_after=1.0)
        async with self._strangers:
            return await self._resolve(key_id, digest)


def _accepted(verdict: Verdict | None) -> Principal | None:
    if isinstance(verdict, Refusal):
        raise _unknown()
    return verdict


def _unknown() -> NotAuthenticated:
    # The same for every reason: a stranger learns nothing of which keys there are or were.
    return NotAuthenticated(Message("security.unknown-key"), reason="invalid_token")
