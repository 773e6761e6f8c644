"""Repair of a damaged SQLite file: rows that survive, and calls that continue."""

import sqlite3
import sys
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from cqox.chaos.simulation.disk import each_power_loss
from cqox.errors import StoreUnavailable
from cqox.file_sync import sync
from cqox.storage import SqliteStore, sqlite_repair
from cqox.storage.rows import DATASET, JOB, REPORT, row_of
from cqox.storage.sqlite_repair import replace_damaged
from cqox.storage.sqlite_schema import migrate
from tests.storage.bound import in_default
from tests.storage.records import a_dataset, a_job, a_report, a_share, an_annotation

pytestmark = pytest.mark.anyio

PAGE = 4096
REPORTS = [a_report(number, body=b"%08d" % number * 400) for number in range(120)]


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def set_aside(folder: Path) -> list[Path]:
    return [each for each in folder.glob("results.sqlite.damaged-*") if not each.name.endswith(("-wal", "-shm"))]


def pages_of(path: Path, name: str, kind: str = "%") -> list[int]:
    """Return the pages of a table or an index, in file order."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype LIKE ? ORDER BY pageno"
            rows = connection.execute(query, (name, kind))
            return [int(row[0]) for row in rows]
        except sqlite3.OperationalError:
            pytest.fail("this SQLite has no table 'dbstat'")


def overwrite(path: Path, *pages: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        for number in pages:
            file.seek((number - 1) * PAGE)
            file.write(b"\xff" * PAGE)


async def filled(path: Path) -> None:
    async with in_default(SqliteStore.open, path) as store:
        for report in REPORTS:
            await store.save(report)
        await store.register(a_dataset("a"))
        await store.put_job(a_job("j"), owner="one", seconds=600)


async def readable(store: SqliteStore) -> int:
    found = 0
    for report in REPORTS:
        with suppress(StoreUnavailable):
            found += await store.load(report.analysis_id) == report
    return found


async def kept(store: SqliteStore) -> int:
    found = [await store.load(report.analysis_id) for report in REPORTS]
    assert all(one is None or one == report for one, report in zip(found, REPORTS, strict=True))
    return sum(one is not None for one in found)


def table_of(name: str) -> sqlite_repair._Table:
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection)
        return sqlite_repair._Table.of(connection, name)


@pytest.mark.parametrize(
    ("name", "columns", "indexes"),
    [
        ("datasets", f"{DATASET.removesuffix(', owner')}, tenant_id, owner", set()),
        (
            "jobs",
            f"{JOB}, owner, renewed_until, tenant_id",
            {("INDEXED BY jobs_by_time", "created_at"), ("INDEXED BY jobs_of_tenant", "tenant_id")},
        ),
        (
            "reports",
            REPORT.replace('"', "") + ", tenant_id",
            {
                ("INDEXED BY reports_by_time", "created_at"),
                ("INDEXED BY reports_by_dataset", "dataset_id"),
                ("INDEXED BY reports_by_question", "dataset_id"),
                ("INDEXED BY reports_of_tenant", "tenant_id"),
                ("INDEXED BY reports_of_tenant_by_time", "tenant_id"),
                ("INDEXED BY reports_of_dataset", "tenant_id"),
                ("INDEXED BY reports_of_question", "tenant_id"),
            },
        ),
    ],
)
def test_the_columns_and_the_sources_of_keys_are_those_of_the_schema(
    name: str, columns: str, indexes: set[tuple[str, str]]
) -> None:
    table = table_of(name)
    assert [column.strip("[]") for column in table.types] == columns.split(", ")
    assert table.key == next(iter(table.types))
    assert set(table.indexes) == indexes


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("datasets", (*row_of(a_dataset("a"))[:-1], "default", "key:a")),
        ("jobs", (*row_of(a_job("j")), "one", 600.0, "default")),
        ("reports", (*row_of(REPORTS[0]), "default")),
        ("shares", (*row_of(a_share(1, "s")), "d", "default")),
        ("annotations", (*row_of(an_annotation(1, "a"))[:1], "d", *row_of(an_annotation(1, "a"))[1:], "default")),
    ],
)
def test_a_row_with_a_value_of_another_type_is_not_sound(name: str, row: tuple[object, ...]) -> None:
    table = table_of(name)
    assert sqlite_repair._is_sound(table, row)
    for number in range(len(row)):
        assert not sqlite_repair._is_sound(table, (*row[:number], [], *row[number + 1 :]))


@pytest.mark.parametrize("digest", ["", "ff" * 65, "no digits"])
def test_a_report_of_another_digest_is_not_sound(digest: str) -> None:
    assert not sqlite_repair._is_sound(table_of("reports"), row_of(replace(REPORTS[0], digest=digest)))


@pytest.mark.parametrize("description", [b"{", b"[]", b"\xff"])
def test_a_data_set_whose_description_is_no_object_is_not_sound(description: bytes) -> None:
    assert not sqlite_repair._is_sound(
        table_of("datasets"), (*row_of(a_dataset("a"))[:-2], description, "default", None)
    )


@pytest.mark.parametrize(("kind", "said"), [("leaf", "malformed"), ("overflow", "not UTF-8")])
async def test_an_overwritten_page_loses_only_its_own_rows_and_the_store_continues(
    kind: str, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "results.sqlite"
    await filled(path)
    async with in_default(SqliteStore.open, path, repair=True) as store:
        pages = pages_of(path, "reports", kind)
        overwrite(path, *pages[len(pages) // 2 : len(pages) // 2 + 3])
        # Damage of an overflow page is detected only by the digest of the report.
        assert 90 <= await readable(store) < len(REPORTS)
        assert store.epoch == 1
        await store.ping()
        for report in REPORTS:
            await store.save(report)
        assert await kept(store) == len(REPORTS)
        assert await store.dataset("a") == a_dataset("a")
        assert await store.job("j") == a_job("j")
    (aside,) = set_aside(tmp_path)
    (message,) = [message for message in caplog.messages if aside.name in message]
    assert said in message
    assert "1 data set, 1 job" in message
    assert names(tmp_path) <= {path.name, *(f"{aside.name}{ending}" for ending in ("", "-wal", "-shm"))}


@pytest.mark.parametrize("name", ["reports_of_tenant_by_time", "reports_of_dataset"])
async def test_a_damaged_index_loses_no_rows(name: str, tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    await filled(path)
    overwrite(path, *pages_of(path, name))
    async with in_default(SqliteStore.open, path, repair=True) as store:
        page = await store.reports(dataset_id="d" if name == "reports_of_dataset" else None, limit=200)
        assert len(page.items) == len(REPORTS)
        assert await kept(store) == len(REPORTS)


async def test_a_damaged_root_page_loses_the_reports_and_not_the_data_sets(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    await filled(path)
    overwrite(path, pages_of(path, "reports")[0])
    async with in_default(SqliteStore.open, path, repair=True) as store:
        assert await kept(store) == 0
        assert await store.save(REPORTS[0])
        assert await store.datasets() == [a_dataset("a")]


async def test_rows_in_the_wal_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    await filled(path)
    overwrite(path, pages_of(path, "reports_of_dataset")[0])
    async with in_default(SqliteStore.open, path, repair=True) as store:
        await store.register(a_dataset("b"))
        await store.put_job(a_job("k"), owner="one", seconds=600)
        assert len((await store.reports(dataset_id="d", limit=200)).items) == len(REPORTS)
        assert {each.dataset_id for each in await store.datasets()} == {"a", "b"}
        assert await store.job("k") == a_job("k")


async def test_two_engines_that_find_the_same_damage_repair_it_once_and_lose_no_write(
    tmp_path: Path,
) -> None:
    path = tmp_path / "results.sqlite"
    await filled(path)
    async with (
        in_default(SqliteStore.open, path, repair=True) as one,
        in_default(SqliteStore.open, path, repair=True) as other,
    ):
        overwrite(path, *pages_of(path, "reports_of_dataset"))
        new = [a_report(1000 + number) for number in range(40)]
        saved: list[str] = []

        async def save(store: SqliteStore, number: int) -> None:
            await store.save(new[number])
            saved.append(new[number].analysis_id)

        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(save, one if number % 2 else other, number)
        assert len(saved) == len(new)
        for store in (one, other):
            for report in new:
                assert await store.load(report.analysis_id) == report
            assert await kept(store) == len(REPORTS)
    assert len(set_aside(tmp_path)) == 1


async def test_a_failed_repair_is_retried_at_intervals_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.sqlite"
    await filled(path)
    overwrite(path, *pages_of(path, "reports_of_dataset"))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async with in_default(SqliteStore.open, path, repair=True) as store:
        monkeypatch.setattr(Path, "rename", fail)
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="malformed"):
                await store.reports(dataset_id="d")
        assert await kept(store) == len(REPORTS)
        with pytest.raises(StoreUnavailable, match="is damaged"):
            await store.ping()
        monkeypatch.undo()
        assert await store.dataset("a") == a_dataset("a")
    assert len([message for message in caplog.messages if "cannot be replaced" in message]) == 1
    assert names(tmp_path) == {"results.sqlite"}


@pytest.mark.parametrize("failing", ["results.sqlite-wal", "results.sqlite.new"])
async def test_a_failed_swap_restores_the_file_and_its_wal(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rename = tmp_path / "results.sqlite", Path.rename
    async with in_default(SqliteStore.open, path) as store:
        await filled(path)
        await store.register(a_dataset("b"))

        def fail(self: Path, target: Path) -> Path:
            if self.name == failing:
                raise OSError(5, "Input/output error")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", fail)
        before = names(tmp_path)
        assert "results.sqlite-wal" in before
        with pytest.raises(OSError, match="Input/output"):
            replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
        assert names(tmp_path) == before
    async with in_default(SqliteStore.open, path) as store:
        assert await store.dataset("b") == a_dataset("b")
        assert await kept(store) == len(REPORTS)


async def test_a_file_with_a_transaction_in_progress_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_repair, "_LOCK_SECONDS", 0.2)
    path = tmp_path / "results.sqlite"
    await filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM datasets")
        before = names(tmp_path)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
        assert names(tmp_path) == before
        writer.execute("COMMIT")
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
    async with in_default(SqliteStore.open, path) as store:
        assert await store.dataset("a") is None
        assert await kept(store) == len(REPORTS)


async def test_the_leftover_of_an_engine_that_crashed_during_a_repair_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    await filled(path)
    code = (
        "import os, pathlib, sys\n"
        "from cqox.storage import sqlite_repair\n"
        "sqlite_repair._swapped = lambda *_: os._exit(9)\n"
        "sqlite_repair.replace_damaged(pathlib.Path(sys.argv[1]), 'so', is_damaged=lambda _: True, seconds=10)\n"
    )
    ended = await anyio.run_process([sys.executable, "-c", code, str(path)], check=False)
    assert ended.returncode == 9
    assert any(name.startswith("results.sqlite.new") for name in names(tmp_path))
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
    async with in_default(SqliteStore.open, path) as store:
        assert await kept(store) == len(REPORTS)
    assert len(set_aside(tmp_path)) == 1
    assert not any(name.startswith("results.sqlite.new") for name in names(tmp_path))


async def test_a_crash_during_the_swap_leaves_a_file_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    await filled(path)
    code = (
        "import os, pathlib, sys\n"
        "from cqox.storage import sqlite_repair\n"
        "pathlib.Path.rename = lambda self, _: os._exit(9) if self.name.endswith('.new') else os.rename(self, _)\n"
        "sqlite_repair.replace_damaged(pathlib.Path(sys.argv[1]), 'so', is_damaged=lambda _: True, seconds=10)\n"
    )
    ended = await anyio.run_process([sys.executable, "-c", code, str(path)], check=False)
    assert ended.returncode == 9
    # An engine that starts now would create an empty one otherwise.
    async with in_default(SqliteStore.open, path) as store:
        assert await kept(store) == len(REPORTS)


def test_a_power_loss_never_leaves_the_wal_of_the_old_file_with_the_new_one(tmp_path: Path) -> None:
    for loss in each_power_loss(tmp_path, seeds=12):
        path = loss.root / "results.sqlite"
        with loss.running():
            for name, content in (("", b"old"), ("-wal", b"old log"), (".new", b"new")):
                path.with_name(path.name + name).write_bytes(content)
                sync(path.with_name(path.name + name))
            sync(loss.root)
            loss.begin()
            sqlite_repair._swapped(path, path.with_name("results.sqlite.new"))
        log = path.with_name("results.sqlite-wal")
        assert path.read_bytes() == b"old" or not log.exists(), loss
        assert path.read_bytes() == b"new" or not loss.is_complete, loss


async def test_the_new_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    await filled(path)
    path.chmod(0o640)
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_the_copy_of_readable_rows_ends_in_time(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    await filled(path)
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=-1)
    async with in_default(SqliteStore.open, path) as store:
        assert await kept(store) == 0
    assert not replace_damaged(path, "so", is_damaged=lambda _: False, seconds=10)
    assert len(set_aside(tmp_path)) == 1


async def test_a_failing_disk_is_not_filled_with_copies(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    await filled(path)
    async with in_default(SqliteStore.open, path, repair=True) as store:
        overwrite(path, *pages_of(path, "reports_of_dataset"))
        assert len((await store.reports(dataset_id="d", limit=200)).items) == len(REPORTS)
        overwrite(path, *pages_of(path, "reports_of_dataset"))
        with pytest.raises(StoreUnavailable, match="malformed"):
            await store.reports(dataset_id="d")
        assert len(set_aside(tmp_path)) == 1
        store._connections._repair_at = 0.0
        assert len((await store.reports(dataset_id="d", limit=200)).items) == len(REPORTS)
        assert len(set_aside(tmp_path)) == 2
