"""The signing keys of an OpenID provider: fetched on demand, by one task at a time, and kept while it is away.

Invariant: however many tokens name keys that do not exist, the provider is asked at most once in `RENEW_SECONDS`.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog
import trio

from cqox import clock
from cqox.contract.messages import Message
from cqox.errors import CqoxError, IdentityProviderUnavailable
from cqox.security.access_tokens import MOST_KEYS_BYTES, InvalidToken, SigningKeys, parse_keys
from services.gateway.tls import client_context

__all__ = [
    "FRESH_SECONDS",
    "KEPT_SECONDS",
    "RENEW_SECONDS",
    "Fetch",
    "IdentityProvider",
    "fetch_keys",
    "is_secure",
    "redeem",
    "sign_in_addresses",
]

FRESH_SECONDS = 300.0
"""Lifetime of a key set as current, in seconds; a key that is withdrawn ends within that time."""

RENEW_SECONDS = 10.0
"""Shortest time between two questions to the provider."""

KEPT_SECONDS = 86_400.0
"""Time for which the last key set serves while the provider is away, in seconds."""

_FETCH_SECONDS = 5.0
_WELL_KNOWN = "/.well-known/openid-configuration"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_log = structlog.stdlib.get_logger("cqox.gateway")

type Fetch = Callable[[], Awaitable[SigningKeys]]
type StartSoon = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


class IdentityProvider:
    """The keys of one provider.

    Args:
        fetch: asks the provider.
        start_soon: starts a task that outlives the request: while the provider is away, nobody waits for a question.
        clock: returns seconds; it never goes back.

    Attributes:
        generation: number of key sets so far.
    """

    def __init__(self, fetch: Fetch, *, start_soon: StartSoon, clock: Callable[[], float] = clock.monotonic) -> None:
        self._fetch = fetch
        self._start_soon = start_soon
        self._clock = clock
        self._lock = trio.Lock()
        self._keys: SigningKeys | None = None
        self._fetched_at = self._asked_at = -KEPT_SECONDS
        self._away = False
        self.generation = 0

    @property
    def known(self) -> SigningKeys | None:
        """The keys that serve now without a question; None where the provider has to be asked first."""
        age = self._clock() - self._fetched_at
        if age < FRESH_SECONDS:
            return self._keys
        if not self._away or age >= KEPT_SECONDS:
            return None
        if self.may_ask and not self._lock.locked():
            self._start_soon(partial(self._ask_again, self.generation))
        return self._keys

    @property
    def may_ask(self) -> bool:
        """True once enough time has passed since the last question."""
        return self._clock() - self._asked_at >= RENEW_SECONDS

    async def keys(self) -> SigningKeys:
        """Return the keys; ask the provider where they are no longer fresh.

        Raises:
            IdentityProviderUnavailable: it does not answer, and its last keys are too old.
        """
        return self.known or await self._renewed(self.generation)

    async def newer(self, generation: int) -> SigningKeys:
        """Return keys that were fetched after a generation of them, as far as the provider may be asked now.

        Raises:
            IdentityProviderUnavailable: it does not answer, and its last keys are too old.
        """
        return await self._renewed(generation)

    async def _ask_again(self, generation: int) -> None:
        async with self._lock:
            if self.generation == generation and self.may_ask:
                await self._ask()

    async def _renewed(self, generation: int) -> SigningKeys:
        await self._ask_again(generation)
        if self._keys is None or self._clock() - self._fetched_at >= KEPT_SECONDS:
            raise IdentityProviderUnavailable(Message("security.provider-away"))
        return self._keys

    async def _ask(self) -> None:
        before, self._asked_at = self._asked_at, self._clock()
        try:
            self._keys = await self._fetch()
        except CqoxError as error:
            if not self._away:
                _log.warning("The identity provider is unavailable; its last keys serve for a day: %s", error)
            self._away = True
            return
        except trio.Cancelled:
            # The next of those that wait asks.
            self._asked_at = before
            raise
        if self._away:
            _log.info("The identity provider answers again.")
        self._away = False
        self._fetched_at = self._clock()
        self.generation += 1


async def fetch_keys(issuer: str) -> SigningKeys:
    """Return the key set that an issuer publishes (OpenID Connect Discovery 1.0).

    Args:
        issuer: its address.

    Raises:
        IdentityProviderUnavailable: it does not answer with a usable set within five seconds.
    """
    async with _asking(issuer) as client:
        return parse_keys(await _content(client, await _address(client, issuer, "jwks_uri")))


async def sign_in_addresses(issuer: str) -> tuple[str, str | None]:
    """Return where a browser is sent to sign in, and where to end the session (RP-Initiated Logout 1.0), if it says so.

    Raises:
        IdentityProviderUnavailable: the issuer does not say where to sign in within five seconds.
    """
    async with _asking(issuer) as client:
        found = await _description(client, issuer)
        ending = found.get("end_session_endpoint")
        ends = isinstance(ending, str) and is_secure(ending)
        return _address_in(found, "authorization_endpoint"), str(ending) if ends else None


async def redeem(issuer: str, form: Mapping[str, str]) -> dict[str, Any] | None:
    """Exchange an authorization code for tokens (RFC 6749, section 4.1.3); return None where the issuer refuses it.

    Args:
        issuer: its address.
        form: the parameters of the request.

    Raises:
        IdentityProviderUnavailable: the issuer does not answer within five seconds.
    """
    async with _asking(issuer) as client:
        address = await _address(client, issuer, "token_endpoint")
        answer = await client.post(address, data=dict(form), headers={"Accept": "application/json"})
        if answer.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED):
            return None
        if answer.status_code != httpx.codes.OK or len(answer.content) > MOST_KEYS_BYTES:
            raise _unusable(f"{address} answers {answer.status_code}")
        found = answer.json()
        return found if isinstance(found, dict) else None


@asynccontextmanager
async def _asking(issuer: str) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of an issuer for at most five seconds; each failure within is that it is unavailable."""
    # The proxies of the environment are for other machines.
    outside = urlsplit(issuer).hostname not in _LOOPBACK
    try:
        with trio.fail_after(_FETCH_SECONDS):
            async with httpx.AsyncClient(verify=client_context(), trust_env=outside) as client:
                yield client
    except trio.TooSlowError as error:
        raise _unusable("it does not answer in time") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise _unusable(str(error) or type(error).__name__) from error
    except InvalidToken as error:
        raise _unusable(str(error)) from error


def is_secure(address: str) -> bool:
    """Return whether an address is https, or http on this machine."""
    parts = urlsplit(address)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    )


async def _address(client: httpx.AsyncClient, issuer: str, name: str) -> str:
    return _address_in(await _description(client, issuer), name)


async def _description(client: httpx.AsyncClient, issuer: str) -> dict[str, Any]:
    found = await _document(client, issuer.rstrip("/") + _WELL_KNOWN)
    if found.get("issuer") != issuer:
        raise _unusable(f"it calls itself {found.get('issuer')!r}, not {issuer!r}")
    return found


def _address_in(found: Mapping[str, Any], name: str) -> str:
    address = found.get(name)
    if not isinstance(address, str) or not is_secure(address):
        raise _unusable(f"it names no https address as its {name}")
    return address


async def _document(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    found = json.loads(await _content(client, address))
    if not isinstance(found, dict):
        raise _unusable(f"{address} is no JSON object")
    return found


async def _content(client: httpx.AsyncClient, address: str) -> bytes:
    """Return the body of an answer; redirects are not followed, and a long one is not read."""
    content = bytearray()
    # Not compressed, so that what is counted is what arrives.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with client.stream("GET", address, headers=headers) as answer:
        async for piece in answer.aiter_raw():
            # Read to its end, as the library leaves its generators open otherwise; the time limit ends a flood.
            if len(content) <= MOST_KEYS_BYTES:
                content += piece
    if answer.status_code != httpx.codes.OK:
        raise _unusable(f"{address} answers {answer.status_code}")
    if len(content) > MOST_KEYS_BYTES:
        raise _unusable(f"{address} answers with more than {MOST_KEYS_BYTES} bytes")
    return bytes(content)


def _unusable(reason: str) -> IdentityProviderUnavailable:
    return IdentityProviderUnavailable(reason)
