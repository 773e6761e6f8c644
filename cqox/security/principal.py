"""A principal: who a request comes from, and its form in the header between gateway and engine."""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Literal

from cqox.errors import CqoxError
from cqox.security.permissions import Permission, granted

__all__ = ["GATEWAY", "LOCAL", "InvalidPrincipal", "Kind", "Principal", "decode", "encode"]

type Kind = Literal["local", "key", "token", "operator", "service"]
"""The way it was authenticated: as the user of this machine, by an API key, an access token, the operator's token, or
as a service."""

_MOST_CHARACTERS = 4096
_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SUBJECT = re.compile(r"[!-~]{1,200}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_MEMBERS = frozenset({"subject", "tenant", "roles", "permissions", "kind"})


class InvalidPrincipal(CqoxError):
    """The header does not hold a principal in the one form that `encode` writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The source of a request, and what it may do.

    Attributes:
        subject: its identifier within the tenant, such as `key:4f0c…`.
        tenant: identifier of the tenant whose objects it sees.
        roles: names of its roles.
        permissions: what it may do: those of its roles as far as its scopes keep them.
        kind: how it was authenticated.
    """

    subject: str
    tenant: str
    roles: tuple[str, ...]
    permissions: frozenset[Permission]
    kind: Kind


LOCAL = Principal(
    subject="local",
    tenant="default",
    roles=(),
    permissions=frozenset(Permission) - {Permission.KEYS_RESOLVE},
    kind="local",
)
"""The principal of every request where no login is configured."""

GATEWAY = Principal(
    subject="gateway",
    tenant="default",
    roles=(),
    permissions=frozenset({Permission.KEYS_RESOLVE}),
    kind="service",
)
"""The gateway itself, when it asks an engine who a key belongs to."""


def encode(principal: Principal) -> str:
    """Return a principal as JSON in base64url without padding."""
    members = {
        "subject": principal.subject,
        "tenant": principal.tenant,
        "roles": list(principal.roles),
        "permissions": sorted(principal.permissions),
        "kind": principal.kind,
    }
    text = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def decode(text: str) -> Principal:
    """Return the principal that a text of `encode` holds.

    Raises:
        InvalidPrincipal: it is in any other form, or holds a permission that its roles do not grant.
    """
    if len(text) > _MOST_CHARACTERS or _BASE64URL.fullmatch(text) is None:
        raise InvalidPrincipal("it is no base64url, or too long")
    try:
        members = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise InvalidPrincipal("it is no JSON in base64url") from error
    if not isinstance(members, dict) or members.keys() != _MEMBERS:
        raise InvalidPrincipal("its members are others")
    principal = _checked(members)
    # A name given twice, another order or spare bits of base64 would be another text for the same principal.
    if encode(principal) != text:
        raise InvalidPrincipal("it is not in canonical form")
    return principal


def _checked(members: dict[str, object]) -> Principal:
    subject, tenant, kind = members["subject"], members["tenant"], members["kind"]
    roles, permissions = _names(members["roles"]), _names(members["permissions"])
    if not isinstance(subject, str) or _SUBJECT.fullmatch(subject) is None:
        raise InvalidPrincipal("its subject is none")
    if not isinstance(tenant, str) or _TENANT.fullmatch(tenant) is None:
        raise InvalidPrincipal("its tenant is none")
    if any(each not in Permission for each in permissions):
        raise InvalidPrincipal("a permission is unknown")
    held = frozenset(Permission(each) for each in permissions)
    if kind == GATEWAY.kind:
        return GATEWAY
    if kind not in ("key", "token", "operator"):
        # The principal of a service without logins crosses no hop.
        raise InvalidPrincipal("its kind is unknown")
    if not held <= granted(roles):
        raise InvalidPrincipal("a permission is not granted by its roles")
    return Principal(subject=subject, tenant=tenant, roles=roles, permissions=held, kind=kind)


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidPrincipal("its roles or permissions are no list of names")
    return tuple(value)
