import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import anyio
import pytest

from cqox.analysis.datasets import Datasets
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.workers import Reply, WorkerPool
from cqox.errors import InvalidRequest, LimitExceeded, NotFound, StoreUnavailable, WorkerLost, WorkersUnavailable
from cqox.storage import DatasetRecord, SqliteStore
from cqox.tasks import open_task_group
from tests.storage.bound import files_in, in_default
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.anyio

DESCRIPTION = {"rows": 3, "columns": [{"name": "y"}, {"name": "w"}], "notes": []}
SAMPLE = {"name": "test", "digest": "0" * 32, "size_bytes": 10}


class Pool:
    """Stands where the workers are; reads every file as the same table."""

    def __init__(self) -> None:
        self.go_on = anyio.Event()
        self.ran: list[str] = []

    async def run(self, name: str, arguments: Mapping[str, object]) -> Reply:
        self.ran.append(name)
        if name == "samples":
            await self.go_on.wait()
            return Reply(body={"samples": [SAMPLE]}, payload=b"")
        if "folder" in arguments:
            (Path(str(arguments["folder"])) / "table.parquet").write_bytes(b"table")
        return Reply(body=DESCRIPTION, payload=b"")


@asynccontextmanager
async def datasets(
    folder: Path, pool: Pool, *, samples: bool = True, now: Callable[[], float] = time.monotonic
) -> AsyncIterator[Datasets]:
    files = files_in(folder)
    async with in_default(SqliteStore.open, folder / "results.sqlite") as store:
        yield Datasets(
            pool=cast("WorkerPool", pool),
            store=store,
            files=files,
            quarantine=Quarantine(),
            limits={},
            samples=samples,
            now=now,
            epoch=lambda: store.epoch,
        )
    files.directory.close()


async def test_who_comes_before_the_samples_are_there_waits_for_them(tmp_path: Path) -> None:
    pool, found = Pool(), list[str]()

    async with datasets(tmp_path, pool) as made, open_task_group() as group:

        async def ask() -> None:
            found.append((await made.get("test")).dataset_id)

        group.start_soon(ask)
        group.start_soon(made.prepare_samples, group)
        await until(lambda: "samples" in pool.ran)
        assert not found
        pool.go_on.set()
    assert found == ["test"]


async def test_who_leaves_while_the_samples_are_made_leaves_at_once(tmp_path: Path) -> None:
    async with datasets(tmp_path, Pool()) as made:
        with anyio.move_on_after(0.05) as scope:
            await made.get("test")
    assert scope.cancelled_caught


async def test_who_waits_for_samples_that_cannot_be_made_learns_it_at_once(tmp_path: Path) -> None:
    class Broken(Pool):
        async def run(self, name: str, arguments: Mapping[str, object]) -> Reply:
            await self.go_on.wait()
            raise WorkersUnavailable("nothing starts")

    pool, raised = Broken(), list[str]()
    async with datasets(tmp_path, pool) as made, open_task_group() as group:

        async def ask() -> None:
            with pytest.raises(WorkersUnavailable) as caught:
                await made.get("test")
            raised.append(str(caught.value))

        async def prepare() -> None:
            with pytest.raises(WorkersUnavailable, match="nothing starts"):
                await made.prepare_samples(group)

        with anyio.fail_after(PATIENCE_SECONDS):
            async with open_task_group() as asking:
                asking.start_soon(ask)
                asking.start_soon(prepare)
                pool.go_on.set()
    assert raised == ["The built-in data sets could not be created. See the log for the reason."]


@pytest.mark.parametrize("failure", [WorkerLost("killed"), LimitExceeded("out of memory")], ids=["killed", "memory"])
async def test_a_worker_that_is_lost_while_it_makes_the_samples_postpones_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    class Losing(Pool):
        failures = 1

        async def run(self, name: str, arguments: Mapping[str, object]) -> Reply:
            if self.failures:
                self.failures -= 1
                raise failure
            return await super().run(name, arguments)

    monkeypatch.setattr("cqox.analysis.builtin_datasets._PAUSE_SECONDS", 0.01)
    pool = Losing()
    pool.go_on.set()
    async with datasets(tmp_path, pool) as made, open_task_group() as group:
        await made.prepare_samples(group)
        with anyio.fail_after(PATIENCE_SECONDS):
            while not await made.all():
                await anyio.sleep(0.01)
    assert pool.failures == 0


@pytest.mark.parametrize(
    ("failure", "answered"),
    [
        (TimeoutError(), StoreUnavailable),
        (StoreUnavailable("no disk"), StoreUnavailable),
        (WorkerLost("killed"), WorkersUnavailable),
    ],
    ids=["time", "store", "worker"],
)
async def test_until_postponed_samples_are_there_they_are_not_called_unknown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    answered: type[Exception],
) -> None:
    class Late(Pool):
        passes = False

        async def run(self, name: str, arguments: Mapping[str, object]) -> Reply:
            if not self.passes:
                raise failure
            return await super().run(name, arguments)

    monkeypatch.setattr("cqox.analysis.builtin_datasets._PAUSE_SECONDS", 0.01)
    pool = Late()
    pool.go_on.set()
    async with datasets(tmp_path, pool) as made, open_task_group() as group:
        await made.prepare_samples(group)
        reason = str(failure) or "TimeoutError"
        assert caplog.messages == [f"Creating or registering the built-in data sets is postponed: {reason}"]
        with pytest.raises(answered, match=r"are not there yet: .* Send the request again\."):
            await made.get("test")
        with pytest.raises(NotFound):
            await made.get("0123456789abcdef" * 2)
        pool.passes = True
        with anyio.fail_after(PATIENCE_SECONDS):
            while not await made.all():
                await anyio.sleep(0.01)
        assert (await made.get("test")).sample
        with pytest.raises(NotFound):
            await made.get("nothing")


async def test_a_worker_that_hangs_while_it_makes_the_samples_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(Pool):
        hanging = True

        async def run(self, name: str, arguments: Mapping[str, object]) -> Reply:
            if self.hanging:
                self.hanging = False
                await anyio.sleep_forever()
            return await super().run(name, arguments)

    monkeypatch.setattr("cqox.analysis.builtin_datasets._PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("cqox.analysis.builtin_datasets._PREPARE_SECONDS", 0.05)
    pool = Hanging()
    pool.go_on.set()
    async with datasets(tmp_path, pool) as made, open_task_group() as group:
        with anyio.fail_after(PATIENCE_SECONDS):
            await made.prepare_samples(group)
            while not await made.all():
                await anyio.sleep(0.01)


async def test_what_is_unknown_once_the_samples_are_there_is_unknown(tmp_path: Path) -> None:
    pool = Pool()
    pool.go_on.set()
    async with datasets(tmp_path, pool) as made, open_task_group() as group:
        await made.prepare_samples(group)
        with pytest.raises(NotFound, match="'nothing'") as caught:
            await made.get("nothing")
        assert caught.value.choices == ("test",)
        with pytest.raises(NotFound, match="Did you mean test"):
            await made.get("Test")
        with pytest.raises(InvalidRequest, match="built in"):
            await made.delete("test")


async def test_without_samples_nothing_is_waited_for(tmp_path: Path) -> None:
    async with datasets(tmp_path, Pool(), samples=False) as made:
        with pytest.raises(NotFound):
            await made.get("test")


async def test_an_analysis_asks_the_registry_once_a_second_and_knows_at_once_what_was_deleted_here(
    tmp_path: Path,
) -> None:
    clock, asked = [0.0], list[str]()
    pool = Pool()
    async with datasets(tmp_path, pool, samples=False, now=lambda: clock[0]) as made:
        record = await made.add(tmp_path / "a.csv", name="a", content_digest="1" * 32, size_bytes=9, options={})
        find = made._find

        async def counted(dataset_id: str) -> DatasetRecord | None:
            asked.append(dataset_id)
            return await find(dataset_id)

        made._find = counted  # type: ignore[method-assign]
        for clock[0] in (0.0, 0.5, 0.9):
            assert await made.get_for_analysis(record.dataset_id) == record
        assert len(asked) == 1
        clock[0] = 1.0
        await made.get_for_analysis(record.dataset_id)
        assert len(asked) == 2
        await made.delete(record.dataset_id)
        with pytest.raises(NotFound):
            await made.get_for_analysis(record.dataset_id)


async def test_the_same_bytes_are_read_once_and_other_options_are_another_data_set(tmp_path: Path) -> None:
    pool = Pool()
    async with datasets(tmp_path, pool, samples=False) as made:

        async def add(**options: str | None) -> str:
            record = await made.add(
                tmp_path / "a.csv", name="a.csv", content_digest="1" * 32, size_bytes=9, options={**options}
            )
            return record.dataset_id

        first, again, plain = await add(), await add(), await add(sheet=None)
        assert first == again == plain == "1" * 32
        assert pool.ran == ["ingest"]
        assert await add(encoding="cp932") != first
        await made.delete(first)
        assert [record.name for record in await made.all()] == ["a.csv"]


async def test_a_built_in_data_set_that_is_lost_or_damaged_is_made_again_where_it_is_read(tmp_path: Path) -> None:
    pool = Pool()
    pool.go_on.set()
    table = tmp_path / "datasets/test/table.parquet"
    async with datasets(tmp_path, pool) as made, open_task_group() as group:
        await made.prepare_samples(group)
        record = await made.get("test")

        async def harm(number: int) -> None:
            match number:
                case 0:
                    table.write_bytes(b"other")
                case 1:
                    table.unlink()
                case 2:
                    (table.parent / "manifest.json").write_text("{")
                case _:
                    shutil.rmtree(table.parent)

        async def read() -> None:
            async with made.reading(record) as table:
                path = table.path
                assert path.read_bytes() == b"table"

        for number in range(4):
            await harm(number)
            async with open_task_group() as readers:
                readers.start_soon(read)
                readers.start_soon(read)
        assert pool.ran.count("sample") == 5


async def test_a_built_in_data_set_that_was_damaged_is_made_again_at_the_start(tmp_path: Path) -> None:
    pool = Pool()
    pool.go_on.set()
    async with datasets(tmp_path, pool) as made, open_task_group() as group:
        await made.prepare_samples(group)
    (tmp_path / "datasets/test/table.parquet").write_bytes(b"other")
    async with datasets(tmp_path, pool) as made, open_task_group() as group:
        await made.prepare_samples(group)
        await made.prepare_samples(group)
    assert pool.ran.count("sample") == 2
    assert (tmp_path / "datasets/test/table.parquet").read_bytes() == b"table"


async def test_an_upload_that_is_lost_is_not_made_again_and_can_be_uploaded_again(tmp_path: Path) -> None:
    async with datasets(tmp_path, Pool(), samples=False) as made:

        async def add() -> DatasetRecord:
            return await made.add(tmp_path / "a.csv", name="a", content_digest="1" * 32, size_bytes=9, options={})

        record = await add()
        (tmp_path / "datasets" / record.dataset_id / "table.parquet").unlink()
        with pytest.raises(NotFound, match="Upload the data set again"):
            async with made.reading(record):
                pass
        assert await add() == record
        async with made.reading(record) as table:
            path = table.path
            assert path.read_bytes() == b"table"


def lose_registry(folder: Path) -> None:
    for path in folder.glob("results.sqlite*"):
        path.unlink()


async def test_what_has_files_is_registered_again_where_the_registry_has_lost_its_own(tmp_path: Path) -> None:
    async with datasets(tmp_path, Pool(), samples=False) as made:
        record = await made.add(tmp_path / "a.csv", name="a", content_digest="1" * 32, size_bytes=9, options={})
        lose_registry(tmp_path)
        assert await made.get(record.dataset_id) == record
        lose_registry(tmp_path)
        assert list(await made.all()) == [record]


async def test_a_full_disk_can_be_freed_by_deleting_although_the_registry_is_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with datasets(tmp_path, Pool(), samples=False) as made:
        record = await made.add(tmp_path / "a.csv", name="a", content_digest="1" * 32, size_bytes=9, options={})
        folder = tmp_path / "datasets" / record.dataset_id
        forget, full = made._store.forget, [False]

        async def refuse(dataset_id: str) -> bool:
            if folder.exists():
                raise StoreUnavailable("database or disk is full")
            return await forget(dataset_id)

        async def is_full() -> bool:
            return full[0]

        monkeypatch.setattr(made._store, "forget", refuse)
        monkeypatch.setattr(made._files, "is_full", is_full)
        with pytest.raises(StoreUnavailable):
            await made.delete(record.dataset_id)
        assert folder.exists()
        full[0] = True
        await made.delete(record.dataset_id)
        assert not folder.exists()
        assert list(await made.all()) == []


async def test_a_renamed_data_set_keeps_its_name_when_the_registry_is_lost(tmp_path: Path) -> None:
    pool = Pool()
    pool.go_on.set()
    (tmp_path / "a.csv").write_text("y,w\n")
    async with datasets(tmp_path, pool) as made, open_task_group() as group:
        await made.prepare_samples(group)
        given = {"name": "a.csv", "content_digest": "0123", "size_bytes": 4, "options": {}}
        await made.add(tmp_path / "a.csv", **given)
        assert (await made.rename("0123", "spring")).name == "spring"
        # The same bytes are the same data set, whatever their file is called.
        assert (await made.add(tmp_path / "a.csv", **given)).name == "spring"
        lose_registry(tmp_path)
        assert (await made.get("0123")).name == "spring"
        with pytest.raises(NotFound):
            await made.rename("nothing", "n")
        with pytest.raises(InvalidRequest, match="keeps its name"):
            await made.rename("test", "n")
