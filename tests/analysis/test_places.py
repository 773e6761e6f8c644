"""Sources of tables in place in an engine, without workers; `tests/services/engine/test_places.py` has them all."""

import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from cqox.analysis import places as places_module
from cqox.analysis.datasets import Datasets
from cqox.analysis.places import PlaceRecord, Places, provenance_of
from cqox.contract import AnalyzeRequest, parse_model
from cqox.errors import BulkheadFull, NotFound, SourceDown, UnreadableFile
from cqox.sources import Place
from tests.storage.records import a_dataset

pytestmark = pytest.mark.anyio
NO_DATASETS = cast("Datasets", None)


def asked(source: str, table: str = "t") -> AnalyzeRequest:
    return parse_model(AnalyzeRequest, {"source": source, "table": table, "mapping": {"y": "y", "treatment": "w"}})


def shop(**members: object) -> Place:
    return Place(**cast("Any", {"name": "shop", "kind": "postgres", "tables": ("t",), **members}))


async def record_of(places: Places, source: str = "shop") -> PlaceRecord:
    record = await places.record_of("default", asked(source), NO_DATASETS)
    assert isinstance(record, PlaceRecord)
    return record


async def test_a_tenant_finds_its_sources_alone() -> None:
    theirs = Place(name="theirs", kind="postgres", tables=("t",), tenants=frozenset({"acme"}))
    places = Places({"shop": shop(), "theirs": theirs})
    assert [place.name for place in places.of_tenant("default")] == ["shop"]
    assert places.find("acme", "theirs", "t") == theirs
    for source, table, field in (("theirs", "t", "source"), ("shop", "u", "table")):
        with pytest.raises(NotFound) as caught:
            places.find("default", source, table)
        assert caught.value.field == field
        assert "theirs" not in caught.value.choices


async def test_a_digest_is_of_the_snapshot_and_new_without_one() -> None:
    of_now = [await record_of(Places({"shop": shop()})) for _ in range(2)]
    assert of_now[0].digest != of_now[1].digest
    first, second, other = [
        await record_of(Places({"shop": shop(as_of=as_of)})) for as_of in ("2026-11-30", "2026-11-30", "2026-12-01")
    ]
    assert first.digest == second.digest != other.digest
    assert first.dataset_id == "source:shop:t"
    assert provenance_of(first) == {"source": "shop", "table": "t", "snapshot": "2026-11-30"}
    assert provenance_of(a_dataset("d")) == {}


async def test_a_digest_is_of_the_stated_kinds_of_columns_too(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"x\n1\n")
    drop = {"name": "shop", "kind": "csv", "folder": tmp_path, "tables": ("t",), "as_of": "v1"}
    digests = {
        (await record_of(Places({"shop": Place(**cast("Any", {**drop, "types": types}))}))).digest
        for types in ({}, {"x": "word"}, {"x": "real"})
    }
    assert len(digests) == 3


async def test_failures_open_the_circuit_of_their_source_alone() -> None:
    places = Places({"shop": shop(), "other": shop(name="other")})
    for _ in range(3):
        with pytest.raises(SourceDown, match="away"):
            async with places.admitted(await record_of(places)):
                raise SourceDown("away")
    with pytest.raises(SourceDown, match="has failed several times") as caught:
        async with places.admitted(await record_of(places)):
            raise AssertionError
    assert caught.value.retry_after >= 1
    async with places.admitted(await record_of(places, "other")), places.admitted(a_dataset("d")):
        pass


async def test_a_source_has_slots_and_a_queue_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places_module, "_MOST_QUEUED", 0)
    places = Places({"shop": shop(most_concurrent=1), "other": shop(name="other")})
    async with places.admitted(await record_of(places)):
        with pytest.raises(BulkheadFull, match="source shop"):
            async with places.admitted(await record_of(places)):
                raise AssertionError
        async with places.admitted(await record_of(places, "other")):
            pass


class Session:
    """A session whose statement lasts until it is cancelled."""

    def __init__(self) -> None:
        self.asked, self.cancelled, self.closed = (threading.Event() for _ in range(3))

    def answer(self, question: Mapping[str, object], *, seconds: float) -> bytes:
        self.asked.set()
        if question:
            return f"{question['sums']} {seconds}".encode()
        self.cancelled.wait()
        raise SourceDown("cancelled")

    def cancel(self) -> None:
        self.cancelled.set()

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    session = Session()
    monkeypatch.setattr(places_module.PostgresSession, "opened", lambda _: session)
    return session


async def test_a_cancellation_ends_the_statement_that_runs_and_leaves_nothing(session: Session, tmp_path: Path) -> None:
    places, scratch = Places({"shop": shop()}), tmp_path / "place"

    async def read() -> None:
        async with places.reading(await record_of(places), scratch, seconds_left=lambda: 60.0) as reading:
            assert scratch.is_dir()
            assert reading.serve is not None
            await reading.serve({})

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.to_thread.run_sync(session.asked.wait)
        group.cancel_scope.cancel()
    await anyio.to_thread.run_sync(session.closed.wait)
    assert session.cancelled.is_set()
    assert not scratch.exists()


async def test_a_source_that_does_not_answer_holds_no_thread_of_another(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places_module, "_THREADS", 1)
    (tmp_path / "t.parquet").write_bytes(b"1")
    lake = Place(name="lake", kind="parquet", folder=tmp_path, tables=("t.parquet",))
    places = Places({"shop": shop(), "lake": lake})

    async def read() -> None:
        async with places.reading(await record_of(places), tmp_path / "place", seconds_left=lambda: 60.0) as reading:
            assert reading.serve is not None
            await reading.serve({})

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.to_thread.run_sync(session.asked.wait)
        with anyio.fail_after(60):
            record = await places.record_of("default", asked("lake", "t.parquet"), NO_DATASETS)
        assert isinstance(record, PlaceRecord)
        group.cancel_scope.cancel()
    await anyio.to_thread.run_sync(session.closed.wait)


async def test_statements_have_the_time_that_is_left_and_the_connection_is_closed(
    session: Session, tmp_path: Path
) -> None:
    places = Places({"shop": shop(key="id")})
    left = iter([20.0, 10.0])
    async with places.reading(
        await record_of(places), tmp_path / "place", seconds_left=cast("Callable[[], float]", left.__next__)
    ) as reading:
        assert reading.serve is not None
        assert [await reading.serve({"sums": "s"}) for _ in range(2)] == [b"s 21.0", b"s 11.0"]
        assert reading.arguments["place"] == {"source": "shop", "table": "t", "key": "id", "snapshot": None}
    assert session.closed.is_set()
    assert not session.cancelled.is_set()


async def test_files_that_change_while_they_are_read_are_refused(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    places = Places({"lake": Place(name="lake", kind="parquet", folder=lake, tables=("t",))})
    (lake / "t").mkdir(parents=True)
    (lake / "t" / "a.parquet").write_bytes(b"1")
    record = await record_of(places, "lake")

    async def read() -> None:
        async with places.reading(record, tmp_path / "place", seconds_left=lambda: math.inf) as reading:
            assert reading.serve is None
            (lake / "t" / "a.parquet").write_bytes(b"12")

    with pytest.raises(SourceDown, match="were changed"):
        await read()


async def test_files_that_are_damaged_because_they_are_being_written_were_changed(tmp_path: Path) -> None:
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for file in files:
        file.write_bytes(b"1")
    own = Place(name="files", kind="csv", folder=tmp_path, tables=("t",), files=tuple(files), own=True)
    places = Places({})
    record = await places.named(own, "t")

    async def read(change: Callable[[], object]) -> None:
        async with places.reading(record, tmp_path / "place", seconds_left=lambda: math.inf):
            change()
            raise UnreadableFile("damaged")

    with pytest.raises(UnreadableFile, match="damaged"):
        await read(lambda: None)
    for change in (lambda: files[0].write_bytes(b"12"), files[1].unlink):
        with pytest.raises(SourceDown, match=r"The files of 't' were changed while they were read\. Try again\."):
            await read(change)


async def test_what_a_caller_gets_as_an_error_of_its_files_is_not_logged_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"1")
    for own in (True, False):
        place = Place(name="files", kind="csv", folder=tmp_path, tables=("t",), files=(file,), own=own)
        places = Places({"files": place})
        record = await places.named(place, "t")
        with pytest.raises(SourceDown):
            async with places.reading(record, tmp_path / "place", seconds_left=lambda: math.inf):
                file.write_bytes(file.read_bytes() * 2)
        assert bool(caplog.records) is not own
