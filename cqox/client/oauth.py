"""Requests to an OpenID provider: discovery (OpenID Connect Discovery 1.0) and token requests (RFC 6749).

A secret goes to the provider alone: by https, or to this machine, and never along a redirect.
"""

import ipaddress
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cqox.contract.bounds import shortened
from cqox.contract.messages import Message
from cqox.errors import IdentityProviderUnavailable, InvalidRequest, NotAuthenticated

if TYPE_CHECKING:
    import httpx
    from pydantic import JsonValue

__all__ = ["Granted", "Metadata", "TokenRefused", "ask_for_token", "asking", "discover", "is_secure"]

_SECONDS = 15.0
_MOST_BYTES = 64 * 2**10
_WELL_KNOWN = "/.well-known/openid-configuration"
_OK, _BAD_REQUEST, _UNAUTHORIZED = 200, 400, 401


class TokenRefused(NotAuthenticated):
    """The provider refuses a token.

    Attributes:
        code: its error code, such as `invalid_grant` or `authorization_pending`.
    """

    def __init__(self, issuer: str, code: str) -> None:
        super().__init__(Message("client.token-refused", issuer=shortened(issuer), code=shortened(code)))
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The endpoints that a provider publishes.

    Attributes:
        issuer: its identifier.
        token_endpoint: where tokens are asked for.
        authorization_endpoint: where a browser signs in; empty where there is none.
        device_endpoint: where a device flow begins (RFC 8628); empty where there is none.
    """

    issuer: str
    token_endpoint: str
    authorization_endpoint: str
    device_endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Tokens that a provider has granted.

    Attributes:
        access_token: for the services.
        seconds: its life; None where the provider does not say.
        refresh_token: for further access tokens; empty where there is none.
    """

    access_token: str = field(repr=False)
    seconds: float | None = None
    refresh_token: str = field(default="", repr=False)


def is_secure(address: str) -> bool:
    """Return whether an address is https, or http on this machine."""
    parts = urlsplit(address)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and _is_here(address)))


@asynccontextmanager
async def asking(issuer: str) -> "AsyncIterator[httpx.AsyncClient]":
    """Open an HTTP client for the requests to a provider.

    Raises:
        InvalidRequest: its address is neither https nor on this machine.
        IdentityProviderUnavailable: it does not answer.
    """
    import httpx

    if not is_secure(issuer):
        raise InvalidRequest(Message("client.issuer-insecure", issuer=shortened(issuer)), field="issuer")
    try:
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=not _is_here(issuer)) as client:
            yield client
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise IdentityProviderUnavailable(
            Message("client.provider-away", issuer=shortened(issuer), reason=shortened(reason))
        ) from error


async def discover(http: "httpx.AsyncClient", issuer: str) -> Metadata:
    """Return what a provider publishes of itself.

    Raises:
        IdentityProviderUnavailable: it does not answer so, or calls itself otherwise.
    """
    found = _object(await http.get(issuer.rstrip("/") + _WELL_KNOWN), issuer)
    if found.get("issuer") != issuer:
        raise _unusable(issuer, "issuer")
    endpoint = _address(found, "token_endpoint")
    if not endpoint:
        raise _unusable(issuer, "token_endpoint")
    return Metadata(
        issuer=issuer,
        token_endpoint=endpoint,
        authorization_endpoint=_address(found, "authorization_endpoint"),
        device_endpoint=_address(found, "device_authorization_endpoint"),
    )


async def ask_for_token(
    http: "httpx.AsyncClient", metadata: Metadata, form: Mapping[str, str], *, secret: str = ""
) -> Granted:
    """Ask for tokens.

    Args:
        http: as `asking` opens it.
        metadata: of the provider.
        form: the parameters of the request, with `client_id`.
        secret: of the client, sent by HTTP Basic authentication; a public client has none.

    Raises:
        TokenRefused: the provider refuses them.
        IdentityProviderUnavailable: it answers anything else.
    """
    import httpx

    basic = httpx.BasicAuth(_quoted(form["client_id"]), _quoted(secret)) if secret else httpx.Auth()
    answer = await http.post(
        metadata.token_endpoint, data=dict(form), headers={"Accept": "application/json"}, auth=basic
    )
    if answer.status_code in (_BAD_REQUEST, _UNAUTHORIZED):
        raise TokenRefused(metadata.issuer, _error_of(answer))
    found = _object(answer, metadata.issuer)
    token, seconds, refresh = found.get("access_token"), found.get("expires_in"), found.get("refresh_token")
    if not isinstance(token, str) or not (token.isascii() and token.isprintable()) or " " in token or not token:
        raise _unusable(metadata.issuer, "access_token")
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return Granted(
        access_token=token,
        seconds=float(seconds) if known else None,  # type: ignore[arg-type]
        refresh_token=refresh if isinstance(refresh, str) else "",
    )


def _object(answer: "httpx.Response", issuer: str) -> "Mapping[str, JsonValue]":
    try:
        found = json.loads(answer.content) if len(answer.content) <= _MOST_BYTES else None
    except ValueError:
        found = None
    if answer.status_code != _OK or not isinstance(found, dict):
        raise _unusable(issuer, f"{answer.status_code}")
    return found


def _error_of(answer: "httpx.Response") -> str:
    try:
        found = json.loads(answer.content)
    except ValueError:
        found = None
    code = found.get("error") if isinstance(found, dict) else None
    return code if isinstance(code, str) else str(answer.status_code)


def _address(found: "Mapping[str, JsonValue]", name: str) -> str:
    address = found.get(name)
    return address if isinstance(address, str) and is_secure(address) else ""


def _quoted(text: str) -> str:
    # RFC 6749, section 2.3.1: both parts are form-encoded before they are joined.
    from urllib.parse import quote_plus

    return quote_plus(text)


def _is_here(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unusable(issuer: str, what: str) -> IdentityProviderUnavailable:
    return IdentityProviderUnavailable(Message("client.provider-unusable", issuer=shortened(issuer), what=what))
