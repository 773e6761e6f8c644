"""Permissions, the roles that hold them, and scopes, which narrow a role and never widen it."""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

__all__ = ["ROLES", "Permission", "Role", "granted", "may_know"]


class Permission(StrEnum):
    """A right of a principal; each operation of the API needs one of them, or none."""

    API_USE = "api:use"
    """Read about oneself and about what the service can do; every principal has it."""
    DATASETS_READ = "datasets:read"
    DATASETS_WRITE = "datasets:write"
    DATASETS_DELETE = "datasets:delete"
    SOURCES_USE = "sources:use"
    ANALYSES_READ = "analyses:read"
    ANALYSES_WRITE = "analyses:write"
    JOBS_READ = "jobs:read"
    JOBS_CANCEL = "jobs:cancel"
    KEYS_MANAGE = "keys:manage"
    ERASURE_REQUEST = "erasure:request"
    AUDIT_READ = "audit:read"
    POLICIES_STEER = "policies:steer"
    OPERATIONS_READ = "operations:read"
    TENANTS_MANAGE = "tenants:manage"
    KEYS_RESOLVE = "keys:resolve"
    """Ask an engine who a key belongs to; the gateway's own, which no role holds."""


class Role(StrEnum):
    """A named set of permissions within a tenant."""

    READER = "reader"
    ANALYST = "analyst"
    STEWARD = "steward"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    PLATFORM = "platform"


_READER = frozenset({Permission.DATASETS_READ, Permission.ANALYSES_READ, Permission.JOBS_READ})
_ANALYST = _READER | {
    Permission.DATASETS_WRITE,
    Permission.ANALYSES_WRITE,
    Permission.JOBS_CANCEL,
    Permission.SOURCES_USE,
}
_STEWARD = _ANALYST | {Permission.DATASETS_DELETE, Permission.ERASURE_REQUEST, Permission.KEYS_MANAGE}

ROLES: Mapping[Role, frozenset[Permission]] = {
    role: permissions | {Permission.API_USE}
    for role, permissions in {
        Role.READER: _READER,
        Role.ANALYST: _ANALYST,
        Role.STEWARD: _STEWARD,
        Role.AUDITOR: frozenset({Permission.AUDIT_READ}),
        Role.OPERATOR: frozenset({Permission.POLICIES_STEER, Permission.OPERATIONS_READ}),
        Role.PLATFORM: frozenset({Permission.TENANTS_MANAGE, Permission.ERASURE_REQUEST}),
    }.items()
}
"""The permissions of each role."""


def granted(roles: Iterable[str], scopes: Collection[str] | None = None) -> frozenset[Permission]:
    """Return the permissions of roles, narrowed by scopes.

    Args:
        roles: names of roles; an unknown one grants nothing.
        scopes: names of permissions, the only ones that are kept apart from `api:use`; None keeps all of the roles.
    """
    known = [Role(role) for role in roles if role in Role]
    held = frozenset[Permission]().union(*(ROLES[role] for role in known))
    if scopes is None:
        return held
    return frozenset(each for each in held if each in scopes or each is Permission.API_USE)


def may_know(needs: Permission, held: Collection[Permission]) -> bool:
    """Return whether a principal that lacks a permission may know of the objects of the operation that needs it.

    It may where it may read objects of that family; otherwise the object has to look as if it did not exist.
    """
    family = needs.partition(":")[0]
    return any(each == f"{family}:read" for each in held)
