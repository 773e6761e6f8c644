"""The contract of `IdentityStore`, run on every backend."""

from dataclasses import replace

import anyio
import pytest

from cqox.storage import DEFAULT_TENANT, ResultStore, TenantRetention
from tests.storage.conftest import Opening
from tests.storage.records import a_key, a_tenant

pytestmark = pytest.mark.anyio


async def test_the_first_tenant_is_there_from_the_start(store: ResultStore) -> None:
    (first,) = await store.tenants()
    assert (first.tenant_id, first.name, first.erased_at) == (DEFAULT_TENANT, DEFAULT_TENANT, None)
    assert first.created_at.startswith("20")
    assert first.created_at.endswith("+00:00")


async def test_a_tenant_is_inserted_once_and_then_changed(store: ResultStore) -> None:
    assert await store.tenant("acme") is None
    assert await store.put_tenant(a_tenant("acme", name="Acme")) is True
    changed = a_tenant("acme", name="株式会社", erased_at="2026-02-01T00:00:00+00:00")
    assert await store.put_tenant(replace(changed, created_at="2027-01-01T00:00:00+00:00")) is False
    assert await store.tenant("acme") == changed
    assert [each.tenant_id for each in await store.tenants()] == ["acme", DEFAULT_TENANT]


@pytest.mark.parametrize("hostile", ["../default", "A", "", "a\0", "\ud800"])
async def test_no_tenant_of_a_hostile_id_is_stored(store: ResultStore, hostile: str) -> None:
    with pytest.raises(ValueError, match="tenant id"):
        await store.put_tenant(a_tenant(hostile))
    assert await store.tenant(hostile) is None
    assert list(await store.keys(hostile)) == []


@pytest.mark.parametrize("scopes", [None, (), ("datasets:read",)])
async def test_a_key_is_read_back_with_its_digest_roles_and_scopes(
    store: ResultStore, scopes: tuple[str, ...] | None
) -> None:
    await store.put_tenant(a_tenant("acme"))
    key = replace(a_key("k", scopes=scopes), digest=bytes(range(32)), expires_at="2027-01-01T00:00:00+00:00")
    assert await store.put_key(key) is True
    assert await store.key("k") == key


async def test_a_key_needs_a_tenant_and_an_id_that_no_other_key_has(store: ResultStore) -> None:
    assert await store.put_key(a_key("k")) is False
    for name in ("acme", "other"):
        await store.put_tenant(a_tenant(name))
    assert await store.put_key(a_key("k")) is True
    assert await store.put_key(a_key("k")) is True
    assert await store.put_key(a_key("k", "other")) is False
    assert await store.put_key(replace(a_key("k"), digest=b"\0" * 32)) is False
    assert await store.key("k") == a_key("k")


async def test_of_many_concurrent_keys_of_one_id_one_is_stored(store: ResultStore) -> None:
    await store.put_tenant(a_tenant("acme"))
    put: list[bytes] = []

    async def put_key(number: int) -> None:
        if await store.put_key(replace(a_key("k"), digest=bytes([number]) * 32)):
            put.append(bytes([number]) * 32)

    async with anyio.create_task_group() as group:
        for number in range(12):
            group.start_soon(put_key, number)
    found = await store.key("k")
    assert found is not None
    assert put == [found.digest]


async def test_the_keys_of_a_tenant_are_listed_newest_first_and_no_others(store: ResultStore) -> None:
    for name in ("acme", "other"):
        await store.put_tenant(a_tenant(name))
    old, new = a_key("z"), a_key("a", at="2026-02-01T00:00:00+00:00")
    for key in (old, new, a_key("b", "other")):
        await store.put_key(key)
    assert list(await store.keys("acme")) == [new, old]
    assert list(await store.keys("nothing")) == []


async def test_a_key_is_revoked_once_by_its_tenant_alone(store: ResultStore) -> None:
    for name in ("acme", "other"):
        await store.put_tenant(a_tenant(name))
    await store.put_key(a_key("k"))
    assert await store.revoke_key("other", "k", at="1") is False
    assert await store.key("k") == a_key("k")
    assert [await store.revoke_key("acme", "k", at=at) for at in ("1", "1", "2")] == [True, True, False]
    assert await store.key("k") == replace(a_key("k"), revoked_at="1")
    for nothing in ("x", "\0", "\ud800"):
        assert await store.revoke_key("acme", nothing, at="1") is False
        assert await store.key(nothing) is None


async def test_a_tenant_has_retention_periods_of_its_own(store: ResultStore) -> None:
    await store.put_tenant(a_tenant("acme"))
    assert await store.retention("acme") == await store.retention("nobody") == TenantRetention()
    periods = TenantRetention(reports=30.0, jobs=0.5)
    assert await store.put_retention("acme", periods) is True
    assert (await store.retention("acme"), await store.retention(DEFAULT_TENANT)) == (periods, TenantRetention())
    # A change of its name leaves them.
    await store.put_tenant(a_tenant("acme", name="ACME"))
    assert await store.retention("acme") == periods
    assert await store.put_retention("acme", TenantRetention()) is True
    assert await store.retention("acme") == TenantRetention()
    for unknown in ("nobody", "\0", "\ud800"):
        assert await store.put_retention(unknown, periods) is False
        assert await store.retention(unknown) == TenantRetention()


async def test_deleted_keys_of_a_tenant_are_unknown(store: ResultStore) -> None:
    for name in ("acme", "other"):
        await store.put_tenant(a_tenant(name))
    for key in (a_key("a"), a_key("b"), a_key("c", "other")):
        await store.put_key(key)
    assert [await store.delete_keys("acme") for _ in range(2)] == [2, 0]
    assert (await store.key("a"), list(await store.keys("acme"))) == (None, [])
    assert await store.key("c") == a_key("c", "other")


async def test_the_last_use_of_a_key_never_moves_back(store: ResultStore) -> None:
    await store.put_tenant(a_tenant("acme"))
    await store.put_key(a_key("k"))
    for day in ("2026-03-02", "2026-03-01"):
        await store.used_key("k", on=day)
    for nothing in ("x", "\0"):
        await store.used_key(nothing, on="2026-03-02")
    assert await store.key("k") == replace(a_key("k"), last_used_on="2026-03-02")


async def test_identities_survive_a_reopen(open_store: Opening) -> None:
    async with open_store() as store:
        await store.put_tenant(a_tenant("acme"))
        await store.put_key(a_key("k"))
    async with open_store() as store:
        assert await store.tenant("acme") == a_tenant("acme")
        assert await store.key("k") == a_key("k")
