"""A sealed store: the contract of stores runs on it elsewhere; here is what the database sees, and what it refuses."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cqox.errors import StoreUnavailable
from cqox.storage import SealedStore, SqliteStore
from cqox.storage.sealing import Sealing, TenantSealing
from tests.storage.bound import in_default
from tests.storage.records import a_dataset, a_report, an_annotation, an_ended_job
from tests.storage.sealings import sealing_in

pytestmark = pytest.mark.anyio
NAMES = ("zanzibar", "quokka", "wombat", "axolotl", "numbat", "okapi")
BODY = b'{"estimates":[{"name":"aipw","estimate":1.5,"warnings":["zanzibar"]}],"x":"zanzibar"}'
REPORT = replace(
    a_report(1, body=BODY),
    outcome="zanzibar",
    treatment="quokka",
    headline='{"text":"zanzibar"}',
    figures=b'{"f":"zanzibar"}',
)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("r.sqlite*"))


async def filled(store: SealedStore) -> None:
    await store.save(REPORT)
    await store.register(replace(a_dataset("d"), name="numbat.csv", description=b'{"columns":["okapi"]}'))
    await store.annotate(an_annotation(1, "v", title="wombat", notes="axolotl"), replaces=None)
    job = replace(an_ended_job("j", "2026-01-01T00:00:00+00:00", "failed"), problem=b'{"detail":"zanzibar"}')
    await store.put_job(job, owner="me", seconds=1.0)
    await store.rename("d", "numbat 2")


async def test_the_database_sees_no_name_and_no_text(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    async with in_default(SqliteStore.open, path) as below:
        await filled(SealedStore(below, sealing_in(tmp_path).of("default")))
    stored = b"".join(each.read_bytes() for each in files(tmp_path))
    assert [name for name in NAMES if name.encode() in stored] == []
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute('SELECT analysis_id, verdict, "primary", estimate FROM reports').fetchone()
    assert row == (REPORT.analysis_id, "GO", "ols_adjustment", 1 / 7)


async def test_rows_from_before_are_read_and_sealed_ones_need_their_ring(tmp_path: Path) -> None:
    async with in_default(SqliteStore.open, tmp_path / "r.sqlite") as below:
        sealing = sealing_in(tmp_path).of("default")
        on, off = SealedStore(below, sealing), SealedStore(below, TenantSealing())
        await filled(off)
        assert await on.load(REPORT.analysis_id) == REPORT
        assert (await on.summaries(search="wombat")).items == (await off.summaries(search="wombat")).items
        assert list(await on.looks("d")) == list(await off.looks("d"))
        await on.save(replace(REPORT, analysis_id="2", created_at="2026-01-02"))
        await on.register(a_dataset("e"))
        (looks,) = await on.looks("d")
        assert (looks.outcome, looks.analyses) == ("zanzibar", 2)
        for call in (off.load("2"), off.datasets(), off.reports(), off.summaries()):
            with pytest.raises(StoreUnavailable, match="CQOX_KEYS"):
                await call


async def test_a_row_that_was_changed_or_moved_is_refused(tmp_path: Path) -> None:
    async with in_default(SqliteStore.open, tmp_path / "r.sqlite") as below:
        store = SealedStore(below, sealing_in(tmp_path).of("default"))
        await store.register(a_dataset("a"))
        other = await below.dataset("a")
        assert other is not None
        await below.register(replace(other, dataset_id="b"))
        assert (await store.dataset("a")) == a_dataset("a")
        with pytest.raises(StoreUnavailable, match="cannot be opened"):
            await store.dataset("b")


async def test_a_search_finds_what_is_on_later_pages(tmp_path: Path) -> None:
    async with in_default(SqliteStore.open, tmp_path / "r.sqlite") as below:
        store = SealedStore(below, sealing_in(tmp_path).of("default"))
        for number in range(250):
            await store.save(a_report(number, created_at=f"2026-01-01T{number // 60:02}:{number % 60:02}:00+00:00"))
            if number % 50 == 0:
                note = replace(an_annotation(number, f"v{number}", title="Wombat"), searched="wombat")
                await store.annotate(note, replaces=None)
        first = await store.summaries(search="wombat", limit=3)
        second = await store.summaries(search="wombat", limit=3, before=first.next)
        found = [int(each.analysis_id, 16) for each in (*first.items, *second.items)]
        assert found == [200, 150, 100, 50, 0]
        assert second.next is None


async def test_what_earlier_releases_cannot_open_is_announced_once_before_it_is_written(tmp_path: Path) -> None:
    calls: list[int] = []

    async def prepare() -> None:
        calls.append(len((await below.reports()).items))
        if len(calls) == 1:
            raise StoreUnavailable("away")

    async with in_default(SqliteStore.open, tmp_path / "r.sqlite") as below:
        store = SealedStore(below, sealing_in(tmp_path).of("default"), prepare=prepare)
        with pytest.raises(StoreUnavailable, match="away"):
            await store.save(REPORT)
        await store.save(REPORT)
        await store.save(a_report(2))
    assert calls == [0, 0]


@pytest.mark.parametrize("mark", ["cqox-sealed:", "cqox-sealed:Q1FPWFNFQUw=", "cqox-plain:", "cqox-plain:cqox-sealed:"])
async def test_text_that_looks_sealed_is_text_also_where_nothing_is_sealed(tmp_path: Path, mark: str) -> None:
    sealing = sealing_in(tmp_path)
    on, off = sealing.of("default"), Sealing(sealing.ring, seals=False).of("default")
    report = replace(REPORT, outcome=f"{mark}y", treatment=f"{mark}w", headline=f"{mark}h")
    note = an_annotation(1, "v", title=f"{mark}title", notes=f"{mark}notes")
    async with in_default(SqliteStore.open, tmp_path / "r.sqlite") as below:
        store = SealedStore(below, TenantSealing())
        await store.save(report)
        await store.annotate(note, replaces=None)
        await store.register(replace(a_dataset("d"), name=f"{mark}first"))
        # Plain, then sealed, then plain again.
        for each in (TenantSealing(), on, off):
            store = SealedStore(below, each)
            for row in (await below.load(report.analysis_id), await below.annotation(report.analysis_id)):
                assert row is not None
                await store.renew(row)
            renamed = await store.rename("d", f"{mark}name")
            assert renamed is not None
            assert [record.name for record in await store.datasets()] == [renamed.name] == [f"{mark}name"]
            assert await store.load(report.analysis_id) == report
            assert await store.annotation(report.analysis_id) == note
            (found,) = (await store.summaries(search="title")).items
            assert (found.title, found.notes, found.outcome) == (note.title, note.notes, report.outcome)
            assert [(look.outcome, look.treatment) for look in await store.looks("d")] == [(f"{mark}y", f"{mark}w")]


async def test_the_looks_at_a_data_set_are_opened_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with in_default(SqliteStore.open, tmp_path / "r.sqlite") as below:
        store = SealedStore(below, sealing_in(tmp_path).of("default"))
        for number in range(20):
            report = replace(a_report(number), dataset_id="d", outcome="y", treatment="w")
            await store.save(report)
            await store.annotate(an_annotation(number, "v", notes="n"), replaces=None)
        real, calls = store._threaded, list[object]()
        monkeypatch.setattr(store, "_threaded", lambda work: calls.append(work) or real(work))
        assert [(each.outcome, each.treatment, each.analyses) for each in await store.looks("d")] == [("y", "w", 20)]
    assert len(calls) == 1
