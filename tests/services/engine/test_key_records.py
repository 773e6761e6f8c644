from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cqox.security import ApiKey, Refusal, digest_of, granted, new_key
from cqox.storage import ApiKeyRecord, SqliteStore, TenantRecord
from services.engine.key_records import new_record, principal_of_key, resolve

NOW = datetime(2026, 11, 28, 23, 30, tzinfo=UTC)


def record_of(key: ApiKey, **changed: object) -> ApiKeyRecord:
    given = {
        "tenant_id": "default",
        "name": "import",
        "roles": ["analyst", "analyst"],
        "scopes": None,
        "days": None,
        "now": NOW,
    }
    return new_record(key.key_id, digest_of(key), **given | changed)


async def with_store(folder: Path, work: Callable[[SqliteStore], Awaitable[None]]) -> None:
    async with SqliteStore.open(folder / "results.sqlite") as store:
        await work(store)


@pytest.mark.trio
async def test_a_key_is_its_principal_for_a_minute_or_until_it_expires(tmp_path: Path) -> None:
    async def work(store: SqliteStore) -> None:
        key = new_key()
        await store.put_key(record_of(key, days=1, scopes=["datasets:read"]))
        verdict, seconds = await resolve(store, key.key_id, digest_of(key), now=NOW)
        assert verdict == principal_of_key(record_of(key, scopes=["datasets:read"]))
        assert verdict.permissions == granted(["analyst"], ["datasets:read"])
        assert seconds == 60
        soon = NOW + timedelta(days=1, seconds=-5)
        assert (await resolve(store, key.key_id, digest_of(key), now=soon))[1] == 5
        late = NOW + timedelta(days=1)
        assert (await resolve(store, key.key_id, digest_of(key), now=late))[0] == Refusal("expired")

    await with_store(tmp_path, work)


@pytest.mark.trio
async def test_the_day_of_its_use_is_recorded(tmp_path: Path) -> None:
    async def work(store: SqliteStore) -> None:
        key = new_key()
        await store.put_key(record_of(key))
        for now, day in ((NOW, "2026-11-28"), (NOW + timedelta(hours=1), "2026-11-29")):
            await resolve(store, key.key_id, digest_of(key), now=now)
            found = await store.key(key.key_id)
            assert found is not None
            assert found.last_used_on == day

    await with_store(tmp_path, work)


@pytest.mark.trio
async def test_a_wrong_secret_is_answered_as_an_unknown_key(tmp_path: Path) -> None:
    async def work(store: SqliteStore) -> None:
        key = new_key()
        await store.put_key(record_of(key))
        unknown = await resolve(store, "0" * 16, digest_of(key), now=NOW)
        wrong = await resolve(store, key.key_id, digest_of(new_key()), now=NOW)
        assert unknown == wrong
        assert wrong[0] == Refusal("unknown")
        found = await store.key(key.key_id)
        assert found is not None
        assert found.last_used_on is None

    await with_store(tmp_path, work)


@pytest.mark.trio
async def test_a_revoked_key_and_those_of_an_erased_tenant_open_nothing(tmp_path: Path) -> None:
    async def work(store: SqliteStore) -> None:
        tenant = TenantRecord(tenant_id="acme", name="Acme", created_at="2026-01-01T00:00:00+00:00", erased_at=None)
        await store.put_tenant(tenant)
        revoked, erased = new_key(), new_key()
        await store.put_key(record_of(revoked))
        await store.put_key(record_of(erased, tenant_id="acme"))
        assert (await resolve(store, erased.key_id, digest_of(erased), now=NOW))[0].tenant == "acme"
        await store.revoke_key("default", revoked.key_id, at=NOW.isoformat())
        await store.put_tenant(
            TenantRecord(tenant_id="acme", name="Acme", created_at=tenant.created_at, erased_at=NOW.isoformat())
        )
        for key in (revoked, erased):
            assert (await resolve(store, key.key_id, digest_of(key), now=NOW))[0] == Refusal("revoked")

    await with_store(tmp_path, work)


def test_a_record_holds_no_secret_and_each_role_once() -> None:
    key = new_key()
    record = record_of(key)
    assert record.roles == ("analyst",)
    assert key.text not in repr(record)
    assert (record.expires_at, record.created_at) == (None, "2026-11-28T23:30:00.000000+00:00")
