"""Authentication at the gateway by access tokens of an OpenID provider, next to API keys."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from cqox import clock
from cqox.contract.messages import Message
from cqox.errors import NotAuthenticated
from cqox.security import Principal
from cqox.security.access_tokens import AccessToken, InvalidToken, SigningKeys, TokenRules, UnknownKey, verify
from services.gateway.authentication import KeyAuthenticator
from services.gateway.identity_provider import IdentityProvider
from services.http.security.credentials import bearer_token

__all__ = ["TokenAuthenticator"]

_MOST_TOKENS = 4096
_log = structlog.stdlib.get_logger("cqox.gateway")


class TokenAuthenticator:
    """Establishes the principal of a request by its access token, or by what `keys` takes.

    A verified token is remembered until it ends, or until its provider publishes other keys.

    Args:
        rules: what a token must say.
        provider: publishes the keys.
        keys: takes API keys and the operator's token, which have no dots.
        clock: returns seconds since 1970.
    """

    def __init__(
        self,
        rules: TokenRules,
        provider: IdentityProvider,
        keys: KeyAuthenticator,
        *,
        clock: Callable[[], float] = clock.wall_time,
    ) -> None:
        self._rules = rules
        self._provider = provider
        self._keys = keys
        self._clock = clock
        self._known = OrderedDict[bytes, tuple[AccessToken, int]]()

    def recall(self, scope: MutableMapping[str, Any]) -> Principal | None:
        """See `Authenticator`."""
        token = bearer_token(scope["headers"])
        if "." not in token:
            return self._keys.recall(scope)
        keys = self._provider.known
        if keys is None:
            return None
        try:
            return self._verified(token, keys)
        except UnknownKey:
            if self._provider.may_ask:
                return None
            raise _refused() from None

    async def look_up(self, scope: MutableMapping[str, Any]) -> Principal:
        """See `Authenticator`."""
        token = bearer_token(scope["headers"])
        if "." not in token:
            return await self._keys.look_up(scope)
        keys, generation = await self._provider.keys(), self._provider.generation
        try:
            return self._verified(token, keys)
        except UnknownKey:
            keys = await self._provider.newer(generation)
        try:
            return self._verified(token, keys)
        except UnknownKey:
            raise _refused() from None

    def _verified(self, token: str, keys: SigningKeys) -> Principal:
        """Return the principal of a token; raise `UnknownKey` where its key is not in the set."""
        digest = hashlib.sha256(token.encode()).digest()
        now, generation = self._clock(), self._provider.generation
        held = self._known.get(digest)
        if held is not None and held[1] == generation and now < held[0].expires_at:
            self._known.move_to_end(digest)
            return held[0].principal
        try:
            found = verify(token, keys, self._rules, now=now)
        except UnknownKey:
            raise
        except InvalidToken as error:
            _log.info("An access token was refused: %s.", error)
            raise _refused() from None
        self._known[digest] = found, generation
        if len(self._known) > _MOST_TOKENS:
            self._known.popitem(last=False)
        return found.principal


def _refused() -> NotAuthenticated:
    # The same for every reason: a stranger learns nothing of what would be accepted.
    return NotAuthenticated(Message("security.unusable-token"), reason="invalid_token")
