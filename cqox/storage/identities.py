"""Contract of identities: tenants, and the API keys of their programs. The store holds digests of secrets only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["ApiKeyRecord", "IdentityStore", "TenantRecord", "TenantRetention"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRecord:
    """A tenant.

    Attributes:
        tenant_id: as `cqox.storage.tenant_ids` defines it.
        name: its name for people.
        created_at: when it was first stored, ISO 8601 in UTC.
        erased_at: when its data were erased, ISO 8601 in UTC; None while it exists.
    """

    tenant_id: str
    name: str
    created_at: str
    erased_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRecord:
    """An API key.

    Attributes:
        key_id: the part of the key that is no secret; unique among all tenants.
        tenant_id: the tenant that it belongs to.
        digest: SHA-256 of its secret, 32 bytes.
        name: its name for people.
        roles: names of the roles that it has.
        scopes: the scopes that narrow its roles; None for all of them.
        created_at: when it was created, ISO 8601 in UTC.
        expires_at: when it expires, ISO 8601 in UTC; None for never.
        last_used_on: day of its last use, ISO 8601; None before the first.
        revoked_at: when it was revoked, ISO 8601 in UTC; None while it is valid.
    """

    key_id: str
    tenant_id: str
    digest: bytes
    name: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...] | None
    created_at: str
    expires_at: str | None
    last_used_on: str | None
    revoked_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRetention:
    """Retention periods of a tenant, in days; None for those of the operator.

    Attributes:
        reports: from their computation, or the end of a job that refers to them.
        datasets: from their last upload or analysis.
        jobs: from their end.
    """

    reports: float | None = None
    datasets: float | None = None
    jobs: float | None = None


class IdentityStore(Protocol):
    """The part of a `ResultDatabase` that holds identities, of all tenants: a key is found before its tenant is known.

    The tenant `default` is stored from the start.
    """

    async def put_tenant(self, record: TenantRecord) -> bool:
        """Insert the tenant, or replace name and erasure of the one with its id; return whether it was inserted.

        The first one but `default` prepares the store for several tenants; earlier releases refuse it from then on.

        Raises:
            ValueError: its id can be none of a tenant.
            StoreUnavailable: also if the store cannot be prepared by the role that the engine has.
        """
        ...

    async def tenant(self, tenant_id: str) -> TenantRecord | None:
        """Return the tenant with this id, or None."""
        ...

    async def tenants(self) -> Sequence[TenantRecord]:
        """Return every tenant, erased ones included, by id."""
        ...

    async def retention(self, tenant_id: str) -> TenantRetention:
        """Return how long a tenant keeps what it has; nothing is set for an unknown one."""
        ...

    async def put_retention(self, tenant_id: str, periods: TenantRetention) -> bool:
        """Set how long a tenant keeps what it has; return False if it is not stored."""
        ...

    async def put_key(self, record: ApiKeyRecord) -> bool:
        """Insert the key; return False if another one has its id, or if its tenant is not stored."""
        ...

    async def key(self, key_id: str) -> ApiKeyRecord | None:
        """Return the key with this id, also one that is expired or revoked, or None."""
        ...

    async def keys(self, tenant_id: str) -> Sequence[ApiKeyRecord]:
        """Return the keys of a tenant, newest first."""
        ...

    async def revoke_key(self, tenant_id: str, key_id: str, *, at: str) -> bool:
        """Revoke a key of a tenant; return False if the tenant has no such key, or it was revoked at another time.

        Args:
            tenant_id: the tenant.
            key_id: the key.
            at: ISO 8601 in UTC.
        """
        ...

    async def delete_keys(self, tenant_id: str) -> int:
        """Delete all keys of a tenant, so that they are unknown; return their number."""
        ...

    async def used_key(self, key_id: str, *, on: str) -> None:
        """Record the day of the last use of a key, unless a later one is recorded.

        Args:
            key_id: the key.
            on: the day, ISO 8601.
        """
        ...
