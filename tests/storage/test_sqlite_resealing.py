"""Rows that are encrypted otherwise: replaced as they were read, on SQLite and on PostgreSQL."""

from dataclasses import replace

import pytest

from cqox.storage import DatasetRecord, JobRecord, SealedStore, SqliteStore, StoredReport
from cqox.storage.contracts import Record
from cqox.storage.postgres import PostgresStore
from cqox.storage.rows import RESEALED
from cqox.storage.sealing import TenantSealing
from tests.storage.conftest import Opening
from tests.storage.records import a_dataset, a_report, an_annotation, an_ended_job

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "old",
    [a_report(1), a_dataset("d"), replace(an_ended_job("j", "2026-01-01T00:00:00+00:00", "failed"), problem=b"{}")],
    ids=["report", "data set", "job"],
)
async def test_a_row_is_replaced_only_where_it_is_as_it_was(open_store: Opening, old: Record) -> None:
    columns = RESEALED[type(old)][2]
    new = replace(old, **{name: b"\xff\0" if isinstance(getattr(old, name), bytes) else "new" for name in columns})
    async with open_store() as store:
        match old:
            case StoredReport():
                await store.save(old)
            case DatasetRecord():
                await store.register(old)
            case JobRecord():
                await store.put_job(old, owner="me", seconds=1.0)
        assert await store.reseal(old, new, document=b'{"estimates":[]}')
        # A repetition has the same result, and another change none.
        assert await store.reseal(old, new)
        assert not await store.reseal(old, replace(old))
        found = await _raw(store, new)
        assert [getattr(found, name) for name in columns] == [getattr(new, name) for name in columns]
        other = SealedStore(store.within("acme"), TenantSealing())
        assert not await other.reseal(new, old)


async def test_an_annotation_is_replaced_with_its_version(open_store: Opening) -> None:
    async with open_store() as store:
        await store.save(a_report(1))
        old = an_annotation(1, "v", title="t", notes="n")
        await store.annotate(old, replaces=None)
        new = replace(old, title="sealed", notes="sealed", searched="sealed")
        assert await store.reseal(old, new)
        assert not await store.reseal(old, old)
        assert await store.annotation(old.analysis_id) == new


async def _raw(store: SqliteStore | PostgresStore, row: Record) -> object:
    match row:
        case StoredReport():
            heads = {"report": b"", "provenance": b"", "figures": b""}
            (head,) = (await store.reports()).items
            return replace(head, **{name: getattr(row, name) for name in heads})
        case DatasetRecord():
            return await store.dataset(row.dataset_id)
        case JobRecord():
            return await store.job(row.job_id)
        case _:
            raise AssertionError(row)
