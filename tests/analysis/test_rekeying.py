"""Everything of a tenant written as it would be written now; damaged things are named and stay as they are."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from cqox.analysis.rekeying import Rekeyed, rekey, rotate
from cqox.errors import StoreUnavailable
from cqox.storage import DataDirectory, MemoryCache, SealedStore, Sealing, SqliteStore
from tests.storage.records import a_dataset, a_report, an_annotation, an_ended_job
from tests.storage.sealings import sealing_in

pytestmark = pytest.mark.anyio


async def filled(root: Path, sealing: Sealing, tenant_id: str) -> None:
    async with SqliteStore.open(root / "r.sqlite") as database:
        store = SealedStore(database.within(tenant_id), sealing.of(tenant_id))
        for number in range(120):
            await store.save(replace(a_report(number), outcome="zanzibar"))
        await store.annotate(an_annotation(7, "v", title="zanzibar"), replaces=None)
        await store.register(replace(a_dataset("d"), name="zanzibar"))
        for name in ("one", "two"):
            job = replace(an_ended_job(name, "2026-01-01T00:00:00+00:00", "failed"), problem=b'{"detail":"zanzibar"}')
            await store.put_job(job, owner="me", seconds=1.0)


@asynccontextmanager
async def opened(root: Path, sealing: Sealing) -> AsyncIterator[tuple[SqliteStore, DataDirectory]]:
    directory = DataDirectory(root / "data", sealing=sealing)
    async with SqliteStore.open(root / "r.sqlite") as database:
        yield database, directory
    directory.close()


async def done_for(root: Path, sealing: Sealing, tenant_id: str) -> Rekeyed:
    async with opened(root, sealing) as (database, directory):
        cache = MemoryCache()
        await cache.within(tenant_id).put(a_report(1))
        done = await rekey(tenant_id, database=database, cache=cache, directory=directory, sealing=sealing)
        assert await cache.within(tenant_id).get(a_report(1).analysis_id) is None
        return done


def stored(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(root.glob("r.sqlite*")))


@pytest.mark.parametrize("tenant_id", ["default", "acme"])
async def test_each_row_is_sealed_once_and_under_the_newest_key(tmp_path: Path, tenant_id: str) -> None:
    await filled(tmp_path, Sealing(), tenant_id)
    assert b"zanzibar" in stored(tmp_path)
    sealing = sealing_in(tmp_path)
    done = await done_for(tmp_path, sealing, tenant_id)
    assert (done.rows, done.failures) == (120 + 1 + 1 + 2, [])
    with closing(sqlite3.connect(tmp_path / "r.sqlite")) as connection:
        connection.execute("VACUUM")
    assert b"zanzibar" not in stored(tmp_path)
    assert (await done_for(tmp_path, sealing, tenant_id)).rows == 0
    await rotate(sealing, [tenant_id])
    assert (await done_for(tmp_path, sealing_in(tmp_path), tenant_id)).rows == 124
    plain = Sealing(sealing_in(tmp_path).ring, seals=False)
    assert (await done_for(tmp_path, plain, tenant_id)).rows == 124
    async with SqliteStore.open(tmp_path / "r.sqlite") as database:
        store = SealedStore(database.within(tenant_id), Sealing().of(tenant_id))
        assert await store.load(a_report(3).analysis_id) == replace(a_report(3), outcome="zanzibar")
        annotation = await store.annotation(a_report(7).analysis_id)
        assert annotation is not None
        assert (annotation.title, annotation.version) == ("zanzibar", "v")


async def test_what_cannot_be_opened_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    await filled(tmp_path, sealing_in(tmp_path / "lost"), "default")
    await filled(tmp_path, Sealing(), "acme")
    sealing = sealing_in(tmp_path)
    done = await done_for(tmp_path, sealing, "default")
    assert done.rows == 0
    assert len(done.failures) == 124
    assert (await done_for(tmp_path, sealing, "acme")).rows == 124


async def test_without_a_ring_there_is_nothing_to_rotate() -> None:
    with pytest.raises(StoreUnavailable, match="CQOX_KEYS"):
        await rotate(Sealing(), ["default"])


async def test_nothing_of_before_is_left_in_the_log_of_a_store_that_engines_have_open(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path / "r.sqlite") as engine:
        await filled(tmp_path, Sealing(), "default")
        await done_for(tmp_path, sealing_in(tmp_path), "default")
        assert b"zanzibar" not in stored(tmp_path)
        assert len(await engine.within("default").datasets()) == 1
