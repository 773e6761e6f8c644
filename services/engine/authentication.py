"""Authentication at an engine: the principal that a trusted gateway sends, and keys for the engine's own operations."""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any

from cqox import clock
from cqox.contract.messages import Message
from cqox.errors import NotAuthenticated, NotFound
from cqox.security import (
    HopKeys,
    InvalidPrincipal,
    Principal,
    Refusal,
    Verdict,
    decode,
    digest_of,
    parse_key,
)
from services.http.contract.api import OPERATIONS
from services.http.security.credentials import bearer_token, single_field
from services.http.security.hop import GATEWAY_IDENTITY, PRINCIPAL, SIGNATURE
from services.http.security.operator import operator_of

__all__ = ["HopAuthenticator"]

_decoded = lru_cache(1024)(decode)
_OWN_PATHS = frozenset(each.path for each in OPERATIONS if each.group in ("Measures", "Administration"))


class HopAuthenticator:
    """Takes the principal that a gateway sends, where its certificate or signature proves that it is one.

    A key is taken only for the operations that an engine has for itself, such as its metrics; every other request comes
    by a gateway.

    Args:
        keys: verify signatures; None where only certificates count.
        admin_token: the operator's token for this port; empty for none.
        resolve: finds out who holds a key, by its id and digest.
        is_erased: returns whether a tenant is erased.
        clock: returns seconds since the epoch.
    """

    def __init__(
        self,
        keys: HopKeys | None,
        *,
        admin_token: str,
        resolve: Callable[[str, bytes], Awaitable[Verdict]],
        is_erased: Callable[[str], bool] = lambda _: False,
        clock: Callable[[], float] = clock.wall_time,
    ) -> None:
        self._keys = keys
        self._admin_token = admin_token
        self._resolve = resolve
        self._is_erased = is_erased
        self._clock = clock

    def recall(self, scope: MutableMapping[str, Any]) -> Principal | None:
        """See `Authenticator`."""
        headers = scope["headers"]
        sent = single_field(headers, PRINCIPAL)
        if sent is not None:
            return self._of_gateway(scope, sent.decode("latin1"))
        if scope["path"] not in _OWN_PATHS:
            raise NotAuthenticated(Message("security.by-the-gateway"))
        token = bearer_token(headers)
        operator = operator_of(token, self._admin_token)
        if operator is None and parse_key(token) is None:
            raise NotAuthenticated(Message("security.unknown-key"), reason="invalid_token")
        return operator

    async def look_up(self, scope: MutableMapping[str, Any]) -> Principal:
        """See `Authenticator`."""
        key = parse_key(bearer_token(scope["headers"]))
        verdict = Refusal("unknown") if key is None else await self._resolve(key.key_id, digest_of(key))
        if isinstance(verdict, Refusal):
            raise NotAuthenticated(Message("security.unknown-key"), reason="invalid_token")
        return verdict

    def _of_gateway(self, scope: MutableMapping[str, Any], sent: str) -> Principal:
        signature = single_field(scope["headers"], SIGNATURE)
        if not self._is_trusted(scope, sent, "" if signature is None else signature.decode("latin1")):
            raise NotAuthenticated(Message("security.untrusted-gateway"), reason="invalid_token")
        try:
            principal = _decoded(sent)
        except InvalidPrincipal as error:
            raise NotAuthenticated(Message("security.untrusted-gateway"), reason="invalid_token") from error
        if self._is_erased(principal.tenant):
            # An access token may outlive its tenant.
            raise NotFound(Message("security.no-such-tenant"))
        return principal

    def _is_trusted(self, scope: MutableMapping[str, Any], sent: str, signature: str) -> bool:
        if scope.get("state", {}).get("peer") == GATEWAY_IDENTITY:
            return True
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        return self._keys is not None and self._keys.verifies(
            signature, sent, method=scope["method"], target=target, now=self._clock()
        )
