"""Make, list and revoke API keys in the result store."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from cqox.security import Permission, Role, digest_of, new_key
from cqox.storage import ResultDatabase, TenantRecord, check_tenant_id
from services.cli.audit_log import record
from services.cli.db_session import run
from services.config.settings import Settings
from services.engine.key_records import new_record

__all__ = ["Wanted", "create", "revoke", "show"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A key to make.

    Attributes:
        tenant: the tenant that it belongs to.
        roles: names of its roles.
        scopes: the only permissions that it keeps; None for all of its roles.
        name: what it is for.
        days: after which it expires; None for never.
        new_tenant: whether the tenant is created where there is none.
    """

    tenant: str
    roles: Sequence[str]
    scopes: Sequence[str] | None
    name: str
    days: float | None
    new_tenant: bool


def create(wanted: Wanted) -> int:
    """Make a key and print it; what belongs to it goes to standard error."""

    async def command(store: ResultDatabase, settings: Settings) -> int:
        _check(wanted)
        key, now = new_key(), datetime.now(UTC)
        if wanted.new_tenant and await store.tenant(wanted.tenant) is None:
            at = now.isoformat(timespec="microseconds")
            await store.put_tenant(
                TenantRecord(tenant_id=wanted.tenant, name=wanted.tenant, created_at=at, erased_at=None)
            )
        made = new_record(
            key.key_id,
            digest_of(key),
            tenant_id=wanted.tenant,
            name=wanted.name,
            roles=wanted.roles,
            scopes=wanted.scopes or None,
            days=wanted.days,
            now=now,
        )
        if not await store.put_key(made):
            sys.stderr.write(f"There is no tenant {wanted.tenant}; --new-tenant creates it.\n")
            return 1
        await record(store, settings, wanted.tenant, "create_key", f"key:{key.key_id}")
        print(key.text)
        expiry = f", until {made.expires_at}" if made.expires_at else ""
        sys.stderr.write(f"Key {key.key_id} of tenant {wanted.tenant}: {', '.join(made.roles)}{expiry}.\n")
        return 0

    return run(command)


def show(tenant: str) -> int:
    """Print the keys of a tenant, newest first."""

    async def command(store: ResultDatabase, settings: Settings) -> int:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("id", "name", "roles", "scopes", "created", "expires", "last used", "revoked"):
            table.add_column(heading)
        for each in await store.keys(check_tenant_id(tenant)):
            table.add_row(
                each.key_id,
                each.name,
                " ".join(each.roles),
                "all" if each.scopes is None else " ".join(each.scopes),
                each.created_at,
                each.expires_at or "",
                each.last_used_on or "",
                each.revoked_at or "",
            )
        Console(highlight=False, width=None if sys.stdout.isatty() else 180).print(table)
        return 0

    return run(command)


def revoke(tenant: str, key_id: str) -> int:
    """Revoke a key of a tenant; return 1 where it has no such key, or it was revoked already."""

    async def command(store: ResultDatabase, settings: Settings) -> int:
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        if await store.revoke_key(check_tenant_id(tenant), key_id, at=at):
            await record(store, settings, tenant, "revoke_key", f"key:{key_id}")
            print(f"Key {key_id} is revoked.")
            return 0
        sys.stderr.write(f"Tenant {tenant} has no key {key_id} that could be revoked.\n")
        return 1

    return run(command)


def _check(wanted: Wanted) -> None:
    check_tenant_id(wanted.tenant)
    for role in wanted.roles:
        if role not in Role:
            raise ValueError(f"There is no role {role}; there are {', '.join(Role)}.")
    for scope in wanted.scopes or ():
        if scope not in Permission:
            raise ValueError(f"There is no permission {scope}; there are {', '.join(Permission)}.")
    if wanted.days is not None and not 0 < wanted.days <= 36_500:
        raise ValueError("--days must be a number from 0 to 36500.")
