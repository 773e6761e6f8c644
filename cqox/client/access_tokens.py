"""Access tokens of one client: asked for at first use, renewed before their end, by one task at a time."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import httpx

from cqox.client.oauth import Granted, ask_for_token, asking, discover
from cqox.contract.messages import Message
from cqox.errors import CqoxError, IdentityProviderUnavailable, InvalidRequest, ServerUnreachable

__all__ = ["AccessTokens", "ClientCredentials", "Grant", "SignInDocument", "read_sign_in"]

SIGN_IN_PATH = "/page/sign-in/programs"
_EARLY_SECONDS = 60.0
_EARLY_SHARE = 0.2
"""A token is renewed this early, or this share of its life where that is less."""

_MOST_BYTES = 64 * 2**10


class Grant(Protocol):
    """A way to access tokens."""

    async def fetch(self, server: str, http: Callable[[], httpx.AsyncClient], refused: str) -> Granted:
        """Return fresh tokens.

        Args:
            server: address of the server that they are for.
            http: returns the client of that server, without credentials of a user.
            refused: an access token that the server has refused, or that ends soon; empty at the first time.

        Raises:
            CqoxError: there are none.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInDocument:
    """The statement of a server about sign-in by programs.

    Attributes:
        issuer: the provider whose tokens it takes.
        resource: the audience of the tokens.
        scope: scopes to ask for.
        client_id: the public client of the command line; empty where there is none.
    """

    issuer: str
    resource: str
    scope: str
    client_id: str


async def read_sign_in(server: str, http: httpx.AsyncClient) -> SignInDocument:
    """Return what a server says about sign-in by programs.

    Raises:
        InvalidRequest: it takes no access tokens.
        ServerUnreachable: it does not answer so.
    """
    answer = await http.get(server + SIGN_IN_PATH)
    try:
        found = json.loads(answer.content) if len(answer.content) <= _MOST_BYTES else None
    except ValueError:
        found = ()
    if answer.status_code == httpx.codes.OK and found is None:
        raise InvalidRequest(Message("client.no-sign-in", url=server))
    if answer.status_code != httpx.codes.OK or not isinstance(found, dict):
        raise ServerUnreachable(Message("client.no-sign-in", url=server))
    texts = {name: found.get(name) for name in ("issuer", "resource", "scope", "client_id")}
    return SignInDocument(**{name: text if isinstance(text, str) else "" for name, text in texts.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """The credentials of a program at an OpenID provider (RFC 6749, section 4.4).

    Attributes:
        client_id: its client.
        client_secret: the secret of the client.
        issuer: the provider; the one that the server names if empty. Name it where you do not trust the server with the
            choice of who gets the secret.
        scope: scopes to ask for; those of the provider's default if empty.
        resource: the audience; the one that the server names if empty.
    """

    client_id: str
    client_secret: str = field(repr=False)
    issuer: str = ""
    scope: str = ""
    resource: str = ""

    async def fetch(self, server: str, http: Callable[[], httpx.AsyncClient], refused: str) -> Granted:
        """See `Grant.fetch`."""
        issuer, resource = self.issuer, self.resource
        if not issuer or not resource:
            document = await read_sign_in(server, http())
            issuer, resource = issuer or document.issuer, resource or document.resource
        form = {"grant_type": "client_credentials", "client_id": self.client_id}
        form |= {name: value for name, value in (("scope", self.scope), ("resource", resource)) if value}
        async with asking(issuer) as provider:
            metadata = await discover(provider, issuer)
            return await ask_for_token(provider, metadata, form, secret=self.client_secret)


class AccessTokens:
    """The access token of one client, in memory.

    Args:
        grant: where tokens come from.
        server: address of the server that they are for.
        http: returns the client of that server.
        now: clock in seconds.
    """

    def __init__(
        self,
        grant: Grant,
        server: str,
        http: Callable[[], httpx.AsyncClient],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._grant = grant
        self._server = server
        self._http = http
        self._now = now
        self._lock = anyio.Lock()
        self._token = ""
        self._renew_at = self._ends_at = 0.0

    async def current(self) -> str:
        """Return a token that is valid for a while; ask for one where there is none, once for concurrent calls.

        Raises:
            CqoxError: there is none to be had.
        """
        if self._token and self._now() < self._renew_at:
            return self._token
        async with self._lock:
            if not self._token or self._now() >= self._renew_at:
                try:
                    await self._fetch()
                except IdentityProviderUnavailable:
                    # The present one is still good for a moment, in which the provider may come back.
                    if not self._token or self._now() >= self._ends_at:
                        raise
            return self._token

    async def replace(self, refused: str) -> str:
        """Return a token in place of one that the server has refused; the same where no other is to be had.

        Raises:
            IdentityProviderUnavailable: the provider does not answer.
        """
        async with self._lock:
            if self._token == refused:
                try:
                    await self._fetch()
                except IdentityProviderUnavailable:
                    raise
                except CqoxError:
                    # The answer of the server says enough.
                    return refused
            return self._token

    async def _fetch(self) -> None:
        granted = await self._grant.fetch(self._server, self._http, self._token)
        now, life = self._now(), granted.seconds
        self._token = granted.access_token
        self._ends_at = now + life if life is not None else float("inf")
        self._renew_at = self._ends_at - min(_EARLY_SECONDS, _EARLY_SHARE * life) if life is not None else self._ends_at
