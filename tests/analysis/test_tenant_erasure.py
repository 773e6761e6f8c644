"""Erasure of a tenant: closed first, then emptied, its key destroyed last."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from cqox.analysis import pools
from cqox.analysis.erasure_progress import Progress
from cqox.analysis.service import Analyses
from cqox.analysis.stores import StoreAddresses
from cqox.encryption import KeysUnavailable
from cqox.encryption.file_keyring import FileKeyRing
from cqox.errors import StoreUnavailable
from cqox.storage import DEFAULT_TENANT, Sealing
from tests.analysis.fake_pool import FakePool
from tests.analysis.test_erasures import BOUNDS, filled, finished, left
from tests.storage.records import a_key, a_report, a_tenant, an_event

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    made = FakePool()
    monkeypatch.setattr(pools, "WorkerPool", made)
    return made


class Keys(FileKeyRing):
    """A key ring that cannot be asked to destroy a key a few times."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.destroyed: list[str] = []
        self.failures = 0

    def destroy(self, tenant_id: str) -> bool:
        if self.failures:
            self.failures -= 1
            raise KeysUnavailable("sealed")
        self.destroyed.append(tenant_id)
        return super().destroy(tenant_id)


@asynccontextmanager
async def opened(folder: Path, keys: Keys | None = None) -> AsyncIterator[Analyses]:
    addresses = StoreAddresses(sealing=Sealing(keys))
    async with Analyses.open(folder, BOUNDS, addresses, samples=False) as engine:
        yield engine


async def test_everything_of_a_tenant_goes_but_its_log_and_nothing_of_another(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keyring.json")
    async with opened(tmp_path, keys) as engine:
        await engine.store.put_tenant(a_tenant("acme", name="Acme"))
        await engine.store.put_key(a_key("k"))
        acme, other = engine.within("acme"), engine.within(DEFAULT_TENANT)
        for analyses in (acme, other):
            await filled(analyses)
        # Of a data set that was deleted before.
        await acme.store.save(a_report(9, dataset_id="gone"))
        await acme.uploads.begin(name="u.csv", size_bytes=9, fingerprint=None)
        await acme.store.append_audit([an_event(1, "acme")])
        before = await left(other)
        begun = await other.erasures.request_tenant("acme", requested_by="key:platform")
        ended = await finished(other, begun.erasure_id)
        counts = Progress.read(ended.receipt).counts()
        assert {name: counts[name] for name in ("datasets", "reports", "jobs", "uploads", "api_keys")} == {
            "datasets": 1,
            "reports": 4,
            "jobs": 1,
            "uploads": 1,
            "api_keys": 1,
        }
        assert Progress.read(ended.receipt).encryption_key is True
        assert keys.destroyed == ["acme"]
        tenant = await engine.store.tenant("acme")
        assert tenant is not None
        assert (tenant.name, tenant.erased_at is not None) == ("acme", True)
        assert (await engine.store.key("k"), await left(acme)) == (None, [])
        assert (engine.is_erased("acme"), engine.is_erased(DEFAULT_TENANT)) == (True, False)
        assert not (tmp_path / "tenants" / "acme").exists()
        assert await acme.store.audit_head() is not None
        assert await left(other) == before


async def test_a_key_that_cannot_be_destroyed_now_is_destroyed_later(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keyring.json")
    keys.failures = 2
    async with opened(tmp_path, keys) as engine:
        await engine.store.put_tenant(a_tenant("acme"))
        await filled(engine.within("acme"))
        mine = engine.within(DEFAULT_TENANT)
        begun = await mine.erasures.request_tenant("acme", requested_by="x")
        while keys.failures:
            await anyio.sleep(0.01)
            await mine.erasures.resume()
        await mine.erasures.resume()
        # Closed all the while.
        assert engine.is_erased("acme")
        ended = await finished(mine, begun.erasure_id)
        assert Progress.read(ended.receipt).encryption_key is True


async def test_a_tenant_that_erases_itself_keeps_the_receipt(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await engine.store.put_tenant(a_tenant("acme"))
        acme = engine.within("acme")
        await filled(acme)
        begun = await acme.erasures.request_tenant("acme", requested_by="key:steward")
        ended = await finished(acme, begun.erasure_id)
        assert (ended.object_id, Progress.read(ended.receipt).encryption_key) == ("acme", None)
        assert await left(acme) == []


async def test_what_a_request_in_flight_has_left_is_erased_once_more(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await engine.store.put_tenant(a_tenant("acme"))
        mine, acme = engine.within(DEFAULT_TENANT), engine.within("acme")
        begun = await mine.erasures.request_tenant("acme", requested_by="x")
        ended = await finished(mine, begun.erasure_id)
        await acme.store.save(a_report(1))
        # The engine resumes erasures by itself too; it may have looked before the report came.
        mine.erasures._swept.clear()
        await mine.erasures.resume()
        assert await left(acme) == []
        assert await mine.erasures.find(begun.erasure_id) == ended


async def test_an_engine_learns_of_erased_tenants_at_its_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await engine.store.put_tenant(a_tenant("acme", erased_at="2026-01-01T00:00:00+00:00"))
    async with opened(tmp_path) as engine:
        await engine._learn()
        assert engine.is_erased("acme")


async def test_the_tenant_of_the_service_is_never_erased(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        with pytest.raises(ValueError, match="default"):
            await engine._eraser.erase(DEFAULT_TENANT, Progress(), lambda: anyio.lowlevel.checkpoint())


async def test_a_backup_of_an_erased_tenant_is_unreadable_and_that_of_another_is_not(tmp_path: Path) -> None:
    data, backup, keys = tmp_path / "data", tmp_path / "backup", Keys(tmp_path / "keyring.json")
    async with opened(data, keys) as engine:
        await engine.store.put_tenant(a_tenant("acme"))
        for name in ("acme", DEFAULT_TENANT):
            analyses = engine.within(name)
            await filled(analyses)
            async with analyses._files.reading("d"):
                pass
        await engine.store.scrub()
        await anyio.to_thread.run_sync(shutil.copytree, data, backup)
        begun = await engine.within(DEFAULT_TENANT).erasures.request_tenant("acme", requested_by="key:platform")
        await finished(engine.within(DEFAULT_TENANT), begun.erasure_id)
    # Restored with the key ring of now, which is in no backup of the data.
    async with opened(backup, Keys(tmp_path / "keyring.json")) as restored:
        acme, other = restored.within("acme"), restored.within(DEFAULT_TENANT)
        for call in (
            acme.store.load(a_report(1).analysis_id),
            acme.store.datasets(),
            acme.store.annotation(a_report(1).analysis_id),
            acme._files.record("d"),
        ):
            with pytest.raises(StoreUnavailable, match="no longer has"):
                await call
        assert await other.store.load(a_report(1).analysis_id) is not None
        assert await other._files.record("d") is not None
    stored = b"".join(path.read_bytes() for path in files_below(backup / "tenants"))
    assert b"<svg/>" not in stored


def files_below(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


async def test_a_ring_that_is_another_one_is_named_by_health(tmp_path: Path) -> None:
    async with opened(tmp_path / "data", Keys(tmp_path / "keyring.json")) as engine:
        await engine.check_keys()
        await engine._mark()
    # As after a start while the vault was away, with another vault.
    async with opened(tmp_path / "data", Keys(tmp_path / "other.json")) as engine:
        with pytest.raises(StoreUnavailable, match="no longer has"):
            await engine.check_keys()
