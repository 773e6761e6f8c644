"""A caller's own files: which of them are summed where they are. The worker is `tests/api/test_folders.py`'s."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from cqox.analysis import own_tables
from cqox.analysis.own_tables import own_table
from cqox.analysis.workers import WorkerPool
from cqox.contract import AnalyzeRequest, parse_model
from cqox.errors import InvalidRequest, UnreadableFile
from cqox.sources import Place

pytestmark = pytest.mark.anyio


class Worker:
    """Says that a table is read whole or not; waits for ever without a verdict."""

    def __init__(self, *, in_memory: bool | None, asked_for: Callable[[], None] = lambda: None) -> None:
        self.in_memory = in_memory
        self.asked_for = asked_for
        self.asked: list[Mapping[str, object]] = []

    async def run(self, name: str, arguments: Mapping[str, object]) -> object:
        assert name == "fit"
        self.asked.append(arguments)
        self.asked_for()
        if self.in_memory is None:
            await anyio.sleep_forever()
        return cast("Any", type("Reply", (), {"body": {"in_memory": self.in_memory}}))


async def table_of(
    path: Path, *, engine: str = "auto", worker: Worker | None = None, read: Mapping[str, Any] | None = None
) -> Place | None:
    body = {"dataset_id": "d", "mapping": {"y": "y", "treatment": "w"}, "options": {"engine": engine}}
    return await own_table(
        cast("WorkerPool", worker or Worker(in_memory=True)), path, parse_model(AnalyzeRequest, body),
        read_options=read or {}, limits={"max_rows": 5},
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("data/part-1.parquet", "data/part-2.parquet", "one.csv", "gz/a.csv.gz", "arrow/a.arrow", "book.xlsx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


async def test_a_folder_stays_where_it_is_if_it_does_not_fit(folder: Path) -> None:
    worker = Worker(in_memory=False)
    found = await table_of(folder / "data", worker=worker)
    assert found is not None
    assert (found.name, found.kind, found.tables) == ("files", "parquet", ("data",))
    assert found.files == tuple(folder / f"data/part-{number}.parquet" for number in (1, 2))
    assert (worker.asked[0]["single"], worker.asked[0]["limits"]) == (False, {"max_rows": 5})
    assert await table_of(folder / "data") is None


@pytest.mark.parametrize(
    ("path", "engine", "table"),
    [
        ("data", "duckdb", "data"), ("data/part-*", "duckdb", "part-*"), ("data", "memory", None),
        ("gz", "auto", "gz"), ("gz", "memory", None), ("arrow", "duckdb", None), ("one.csv", "duckdb", None),
        ("book.xlsx", "duckdb", None), ("absent.csv", "duckdb", None),
    ],
)  # fmt: skip
async def test_the_engine_that_is_asked_for_decides(folder: Path, path: str, engine: str, table: str | None) -> None:
    found = await table_of(folder / path, engine=engine)
    assert (None if found is None else found.tables[0]) == table


async def test_one_file_that_does_not_fit_is_a_table_for_the_engine_that_is_named(folder: Path) -> None:
    worker = Worker(in_memory=False)
    assert await table_of(folder / "one.csv", worker=worker) is None
    found = await table_of(folder / "one.csv", engine="duckdb", worker=worker)
    assert found is not None
    assert (found.kind, found.tables, found.folder, worker.asked[0]["single"]) == ("csv", ("one.csv",), folder, True)


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    name = b"\xff" + b"x" * 200
    path = Path(tmp_path, name.decode(errors="surrogateescape"))
    path.mkdir()
    (path / "a.parquet").touch()
    return path


async def test_a_name_that_is_no_text_or_too_long_is_shown_as_one(odd: Path) -> None:
    found = await table_of(odd, engine="duckdb")
    assert found is not None
    assert found.tables[0].startswith("?x")
    assert len(found.tables[0]) <= 130


async def test_an_iceberg_table_always_stays_where_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = folder / "data"
    (table / "metadata").mkdir()
    (table / "metadata" / "v1.metadata.json").touch()
    for engine in ("auto", "duckdb"):
        worker = Worker(in_memory=True)
        found = await table_of(table, engine=engine, worker=worker)
        assert found is not None
        assert (found.kind, found.folder, found.tables, found.own, worker.asked) == (
            "iceberg",
            table,
            ("data",),
            True,
            [],
        )
    with pytest.raises(UnreadableFile, match="only analysed where it is"):
        await table_of(table, engine="memory")
    monkeypatch.setattr(own_tables, "find_spec", lambda name: None if name == "pyiceberg" else True)
    with pytest.raises(InvalidRequest, match=r"pip install 'cqox\[iceberg\]'"):
        await table_of(table)


async def test_how_to_read_a_file_is_refused_where_nothing_is_read(folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="'read' says how"):
        await table_of(folder / "data", engine="duckdb", read={"encoding": "cp932"})


async def test_a_cancellation_ends_the_wait_for_the_worker(folder: Path) -> None:
    with anyio.CancelScope() as scope:
        await table_of(folder / "data", worker=Worker(in_memory=None, asked_for=scope.cancel))
    assert scope.cancelled_caught
