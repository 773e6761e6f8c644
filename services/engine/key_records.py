"""Records of API keys in the result store: making one, and finding out who holds a key by its id and digest."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cqox.security import (
    REFUSAL_SECONDS,
    VERDICT_SECONDS,
    Principal,
    Refusal,
    Verdict,
    granted,
    matches,
)
from cqox.storage import ApiKeyRecord, IdentityStore

__all__ = ["new_record", "principal_of_key", "resolve"]


async def resolve(store: IdentityStore, key_id: str, digest: bytes, *, now: datetime) -> tuple[Verdict, float]:
    """Return who holds a key, or why it is refused, and for how many seconds that holds; record the day of its use.

    Args:
        store: holds the keys and tenants.
        key_id: the public part of the key.
        digest: SHA-256 of the whole key.
        now: the time, with a zone.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    record = await store.key(key_id)
    # A wrong secret is answered as an unknown id, so that ids cannot be tried out.
    if record is None or not matches(record.digest, digest):
        return Refusal("unknown"), REFUSAL_SECONDS
    if record.revoked_at is not None:
        return Refusal("revoked"), REFUSAL_SECONDS
    left = VERDICT_SECONDS
    if record.expires_at is not None:
        left = min(left, (datetime.fromisoformat(record.expires_at) - now).total_seconds())
        if left <= 0:
            return Refusal("expired"), REFUSAL_SECONDS
    tenant = await store.tenant(record.tenant_id)
    if tenant is None or tenant.erased_at is not None:
        return Refusal("revoked"), REFUSAL_SECONDS
    today = now.astimezone(UTC).date().isoformat()
    if record.last_used_on != today:
        await store.used_key(key_id, on=today)
    return principal_of_key(record), left


def principal_of_key(record: ApiKeyRecord) -> Principal:
    """Return the principal of a key."""
    return Principal(
        subject=f"key:{record.key_id}",
        tenant=record.tenant_id,
        roles=record.roles,
        permissions=granted(record.roles, record.scopes),
        kind="key",
    )


def new_record(
    key_id: str,
    digest: bytes,
    *,
    tenant_id: str,
    name: str,
    roles: Iterable[str],
    scopes: Iterable[str] | None,
    days: float | None,
    now: datetime,
) -> ApiKeyRecord:
    """Return the record of a new key.

    Args:
        key_id: the public part of the key.
        digest: SHA-256 of the whole key.
        tenant_id: the tenant that it belongs to.
        name: what it is for.
        roles: names of its roles.
        scopes: the only permissions that it keeps; None for all of its roles.
        days: after which it expires; None for never.
        now: the time, with a zone.
    """
    return ApiKeyRecord(
        key_id=key_id,
        tenant_id=tenant_id,
        digest=digest,
        name=name,
        roles=tuple(dict.fromkeys(roles)),
        scopes=None if scopes is None else tuple(dict.fromkeys(scopes)),
        created_at=now.isoformat(timespec="microseconds"),
        expires_at=None if days is None else (now + timedelta(days=days)).isoformat(timespec="microseconds"),
        last_used_on=None,
        revoked_at=None,
    )
