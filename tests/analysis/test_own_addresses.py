"""A caller's own addresses: which tables are summed. Real servers and workers are in `tests/api/test_addresses.py`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from cqox.analysis import own_addresses
from cqox.analysis.own_addresses import OwnAddresses
from cqox.analysis.places import PlaceRecord
from cqox.contract import AnalyzeRequest, parse_model
from cqox.errors import InvalidRequest, SourceDown
from cqox.sources import Parts, Place, RemoteTable
from cqox.sources.remote_file import RemoteFile
from cqox.storage import DatasetRecord
from tests.storage.records import a_dataset

pytestmark = pytest.mark.anyio


class Session:
    """Places, worker and data sets of a session."""

    def __init__(self, *names: str, size: int = 10, in_memory: bool = True) -> None:
        self.names, self.size, self.in_memory = names, size, in_memory
        self.copies = 0
        self.single: object = None

    async def listed(self, place: Place, table: str) -> RemoteTable:
        if not self.names:
            raise SourceDown("none")
        base = Path("/t")
        files = tuple(RemoteFile(key=f"t/{name}", size_bytes=self.size, e_tag="1", modified=1) for name in self.names)
        parts = Parts(
            base=base, files=tuple(base / name for name in self.names),
            format="text" if ".csv" in self.names[0] else "parquet" if ".parquet" in self.names[0] else "columnar",
        )  # fmt: skip
        return RemoteTable(address=place.address, base=base, files=files, parts=parts, is_folder=len(files) > 1)

    @asynccontextmanager
    async def copied(self, place: Place, table: str, **_: object) -> AsyncIterator[Parts]:
        self.copies += 1
        yield (await self.listed(place, table)).parts

    async def named(self, place: Place, table: str) -> PlaceRecord:
        return cast("PlaceRecord", (place, table))

    async def run(self, name: str, arguments: Mapping[str, object]) -> object:
        assert name == "fit"
        self.single = arguments["single"]
        await anyio.lowlevel.checkpoint()
        return type("Reply", (), {"body": {"in_memory": self.in_memory}})


async def table_of(
    session: Session, address: str = "s3://bucket/t/", *, engine: str = "auto", read: Mapping[str, Any] | None = None
) -> object:
    body = {"dataset_id": "d", "mapping": {"y": "y", "treatment": "w"}, "options": {"engine": engine}}
    own = OwnAddresses(
        pool=cast("Any", session), datasets=cast("Any", session), places=cast("Any", session), limits={"max_bytes": 100}
    )
    return await own.table(
        address, parse_model(AnalyzeRequest, body), scratch=Path("/none"), read_options=read or {},
        report=lambda _: None,
    )  # fmt: skip


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> DatasetRecord:
    record = a_dataset("d")

    async def add_parts(*_: object, **__: object) -> DatasetRecord:
        await anyio.lowlevel.checkpoint()
        return record

    monkeypatch.setattr(own_addresses, "add_parts", add_parts)
    return record


async def test_what_fits_is_copied_and_read(added: DatasetRecord) -> None:
    for names in (("a.parquet", "b.parquet"), ("a.csv.gz",)):
        session = Session(*names)
        assert await table_of(session) is added
        assert (session.copies, session.single) == (1, len(names) == 1)


@pytest.mark.parametrize(
    ("names", "size", "in_memory", "engine", "kind", "copies"),
    [
        (("a.parquet",), 10, True, "duckdb", "parquet", 0),
        (("a.parquet", "b.parquet"), 60, True, "auto", "parquet", 0),
        (("a.csv.gz", "b.csv.gz"), 1, True, "auto", "csv", 0), (("x=1/a.csv", "x=2/b.csv"), 1, True, "auto", "csv", 0),
        (("a.csv",), 10, False, "auto", "csv", 1),
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_summed(
    names: tuple[str, ...], size: int, *, in_memory: bool, engine: str, kind: str, copies: int
) -> None:
    session = Session(*names, size=size, in_memory=in_memory)
    found = await table_of(session, "s3://me:xyzzy@bucket/t/?sig=xyzzy", engine=engine)
    place, table = cast("tuple[Place, str]", found)
    assert (place.kind, place.own, table, session.copies) == (kind, True, "s3://bucket/t/", copies)
    assert "xyzzy" not in repr(place)


@pytest.mark.parametrize(
    ("session", "address", "engine"),
    [
        (Session("a.parquet"), "s3://bucket/t/", "memory"), (Session("a.arrow"), "s3://bucket/t/", "duckdb"),
        (Session("a.parquet"), "https://host/page", "duckdb"), (Session(), "s3://bucket/t.xlsx", "auto"),
    ],
)  # fmt: skip
async def test_other_files_are_fetched_and_read(session: Session, address: str, engine: str) -> None:
    assert await table_of(session, address, engine=engine) is None
    assert session.copies == 0


async def test_what_cannot_be_summed_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequest, match="'read' says how"):
        await table_of(Session("a.parquet"), engine="duckdb", read={"encoding": "cp932"})
    monkeypatch.setattr(own_addresses, "find_spec", lambda _: None)
    with pytest.raises(InvalidRequest, match=r"cqox\[scale\]"):
        await table_of(Session("a.parquet"), engine="duckdb")


async def test_a_cancellation_ends_the_copy() -> None:
    session = Session("a.parquet")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await table_of(session)
    assert scope.cancelled_caught
