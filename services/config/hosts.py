"""The allow-list of host names that the `Host` of a request is checked against.

DNS rebinding points an attacker's name at this machine; the browser then sends that name as `Host`. So IP addresses and
loopback names, which cannot be rebound, are always allowed, and every other name has to be listed. Ports are never
compared.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cqox.errors import InputError

__all__ = ["SETTING", "AllowedHosts", "Authority", "ForeignHost", "parse_authority"]

SETTING = "CQOX_ALLOWED_HOSTS"
"""The environment variable of the allow-list."""

_MOST_NAME_CHARACTERS = 253
_MOST_BYTES = 320
_ADDRESS = rb"\[(?P<address>[0-9A-Fa-f:.]+(?:%[0-9A-Za-z._~%-]+)?)\]"
_NAME = rb"(?P<name>[0-9A-Za-z_-]{1,63}(?:\.[0-9A-Za-z_-]{1,63})*)\.?"
_AUTHORITY = re.compile(rb"(?:" + _ADDRESS + rb"|" + _NAME + rb")(?::(?P<port>[0-9]{0,5}))?")
_LAST_PORT = 65_535


class ForeignHost(InputError):
    """The request's host name is not allowed."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Host and port of a URL (RFC 3986 authority without user information).

    Attributes:
        host: the name in lower case without a trailing dot, or the address in its canonical form without brackets.
        port: None where it is absent.
        is_address: whether the host is an IP address.
    """

    host: str
    port: int | None = None
    is_address: bool = False

    @property
    def is_loopback_name(self) -> bool:
        """True for names that always resolve to this machine (RFC 6761 §6.3)."""
        return self.host == "localhost" or self.host.endswith(".localhost")


def parse_authority(value: bytes) -> Authority | None:
    """Parse a `Host` field; return None where it is malformed.

    Names are in DNS form, with underscores allowed: no percent-encoding, no user, and IDNA names as `xn--…`.
    """
    if len(value) > _MOST_BYTES:
        return None
    match = _AUTHORITY.fullmatch(value)
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and port > _LAST_PORT:
        return None
    if match["address"] is not None:
        literal = match["address"].decode("ascii")
        # Only IPv6 addresses are in brackets.
        address = _canonical(literal) if ":" in literal else ""
        return Authority(address, port, is_address=True) if address else None
    name = match["name"].decode("ascii").lower()
    if len(name) > _MOST_NAME_CHARACTERS:
        return None
    address = _canonical(name)
    return Authority(address or name, port, is_address=bool(address))


class AllowedHosts:
    """Host names that requests may be addressed to.

    Args:
        listed: names separated by commas: `cqox.example.com`, `*.example.com` for all names below it, `engine-*` for
            all names of one label with that prefix, `*` for every name.
        listens_on: the name or address that the service listens on; a name is allowed.

    Raises:
        ValueError: an entry is no host name; the message names it.
    """

    def __init__(self, listed: str = "", *, listens_on: str = "") -> None:
        self._names: set[str] = set()
        self._parents: list[str] = []
        self._beginnings: list[str] = []
        self._every = False
        for entry in _entries(listed):
            self._add(entry)
        own = parse_authority(listens_on.encode("ascii", "replace"))
        self._own = own.host if own is not None and own.port is None else ""

    def _add(self, entry: str) -> None:
        if entry == "*":
            self._every = True
        elif entry.startswith("*."):
            self._parents.append("." + _name_of(entry[2:], entry))
        elif entry.endswith("*") and "." not in entry:
            self._beginnings.append(_name_of(entry[:-1], entry))
        else:
            bare = entry[1:-1] if entry.startswith("[") and entry.endswith("]") else entry
            self._names.add(_canonical(bare) or _name_of(entry, entry))

    @property
    def named(self) -> tuple[str, ...]:
        """The names and addresses that are given in full, in order."""
        own = () if self._own in ("", "0.0.0.0", "::") else (self._own,)
        return tuple(sorted({*self._names, *own}))

    def answers_to(self, authority: Authority) -> bool:
        """Return whether requests for this host are allowed."""
        return (
            authority.is_address
            or authority.is_loopback_name
            or self._every
            or authority.host == self._own
            or self.lists(authority)
        )

    def lists(self, authority: Authority) -> bool:
        """Return whether the list contains this host; `*` does not count."""
        host = authority.host
        if host in self._names:
            return True
        if authority.is_address:
            return False
        # A wildcard matches at least one character: '.example.com' is no name.
        return any(host.endswith(parent) for parent in self._parents) or (
            "." not in host and any(host.startswith(start) and host != start for start in self._beginnings)
        )


def _entries(listed: str) -> Iterator[str]:
    # Compose passes an empty value where a variable is not set.
    return (entry for part in listed.split(",") if (entry := part.strip().lower()))


def _name_of(text: str, entry: str) -> str:
    try:
        authority = parse_authority(text.encode("idna"))
    except ValueError:
        authority = None
    if authority is None or authority.is_address or ":" in text:
        raise ValueError(
            f"{entry[:100]!r} is no host name: give names without scheme, port and path, such as cqox.example.com or "
            "*.example.com, separated by commas"
        )
    return authority.host


def _canonical(text: str) -> str:
    """Return an IP address in canonical form; empty where the text is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
