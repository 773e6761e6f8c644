"""The address of a server, and what every request to it carries."""

import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from cqox.client.environment import context_of, of_environment
from cqox.contract.bounds import shortened
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

if TYPE_CHECKING:
    import httpx

    from cqox.client.access_tokens import Grant

__all__ = ["URL_VARIABLE", "Server", "check_field", "given_once", "server_at"]

URL_VARIABLE = "CQOX_URL"
"""Environment variable with the address of the server."""

_SCHEMES = ("http", "https")
_AUTHORIZATION = "authorization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server and how it is called.

    Attributes:
        url: its address, without a slash at the end.
        headers: fields of every request.
        timeout: seconds for a call that runs no analysis, retries included.
        tls: trust and certificates of an `https` address; by default the authorities of httpx.
        transport: replaces the network, for tests.
        grant: where access tokens come from; None where the fields have what is needed.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 60.0
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    transport: "httpx.AsyncBaseTransport | None" = field(default=None, repr=False)
    grant: "Grant | None" = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """Its name or IP address."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_secure(self) -> bool:
        """True if connections are encrypted."""
        return self.url.startswith("https:")

    @property
    def is_loopback(self) -> bool:
        """True if it runs on this machine, so that no proxy reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")


def server_at(
    url: str | None,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    tls: ssl.SSLContext | None = None,
    transport: "httpx.AsyncBaseTransport | None" = None,
    credentials: "Grant | None" = None,
    environ: Mapping[str, str] = os.environ,
) -> Server:
    """Return the server at an address, by default that of the environment.

    A token of the environment is used where the address is that of the environment as well, or the environment names
    none: it is never sent to another host.

    Args:
        url: begins with `http://` or `https://`, and may end with a path; None for `CQOX_URL`.
        token: sent as `Authorization: Bearer`.
        headers: further fields of every request.
        timeout: as in `Server`.
        tls: as in `Server`.
        transport: as in `Server`.
        credentials: where access tokens come from, in place of a token.
        environ: the environment.

    Raises:
        InvalidRequest: the address, the token or a field cannot be used.
    """
    if url is not None and not isinstance(url, str):
        raise InvalidRequest(Message("client.url-unusable", url=shortened(repr(url))), field="url")
    ours = environ.get(URL_VARIABLE, "").strip()
    address = _address((ours if url is None else url).strip())
    if token is not None and credentials is not None:
        raise InvalidRequest(Message("client.two-authorizations"), field="token")
    is_ours = not ours or _origin(ours) == _origin(address)
    if token is None and credentials is None and is_ours:
        token, credentials = of_environment(environ)
    if tls is None and is_ours and address.startswith("https:"):
        tls = context_of(environ)
    fields = dict(headers or {})
    if token is not None:
        if any(name.lower() == _AUTHORIZATION for name in fields):
            raise InvalidRequest(Message("client.two-authorizations"), field="token")
        fields["Authorization"] = f"Bearer {token}"
    for name, value in fields.items():
        check_field(name, value, shown="token" if value == f"Bearer {token}" else name)
    if not timeout > 0:
        raise ValueError(f"timeout must be above 0, not {timeout!r}")
    return Server(url=address, headers=fields, timeout=timeout, tls=tls, transport=transport, grant=credentials)


def given_once(token: str | None, api_key: str | None) -> str | None:
    """Return the token or the API key, which is sent as one.

    Raises:
        InvalidRequest: both are given.
    """
    if token is not None and api_key is not None:
        raise InvalidRequest(Message("client.two-authorizations"), field="token")
    return api_key if token is None else token


def check_field(name: str, value: str, *, shown: str, field: str = "headers") -> None:
    """Refuse a header field that cannot be sent.

    Args:
        name: of the field.
        value: its value.
        shown: what the caller calls it.
        field: the argument that has it.

    Raises:
        InvalidRequest: name or value hold characters that HTTP does not have.
    """
    is_token = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    if not is_token or not (value.isascii() and value.isprintable()) or value != value.strip():
        raise InvalidRequest(Message("client.field-unusable", name=shortened(shown)), field=field)


def _address(url: str) -> str:
    if not url:
        raise InvalidRequest(Message("client.no-url", variable=URL_VARIABLE), field="url")
    parts = _split(url)
    if parts is None or parts.scheme not in _SCHEMES or not parts.hostname or not _is_plain(url):
        raise InvalidRequest(Message("client.url-unusable", url=_shown(url)), field="url")
    if "@" in parts.netloc:
        raise InvalidRequest(Message("client.url-with-credentials"), field="url")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise InvalidRequest(Message("client.url-with-query", url=_shown(url)), field="url")
    return url.rstrip("/")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return None if parts.port == 0 else parts
    except ValueError:
        return None


def _is_plain(url: str) -> bool:
    return url.isprintable() and " " not in url and "\\" not in url


def _shown(url: str) -> str:
    """Return an address for a message, without a user and a password."""
    scheme, sign, rest = url.partition("://")
    return shortened(f"{scheme}{sign}{rest.rpartition('@')[2]}" if sign else url.rpartition("@")[2])


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    parts = _split(url)
    if parts is None:
        return None
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
