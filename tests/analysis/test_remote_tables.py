"""Tables of an operator and of a caller that lie elsewhere, without a server; services have real ones."""

from pathlib import Path
from typing import cast

import anyio
import pytest
from anyio import CapacityLimiter

from cqox.analysis import remote_tables
from cqox.analysis.mirror import Mirror
from cqox.analysis.remote_tables import RemoteTables
from cqox.errors import SourceDown, SourceUnavailable
from cqox.sources import Place, RemoteTable, SourceChanged
from tests.analysis.scripted_table import ScriptedTable
from tests.servers.raw_http import raw_http

pytestmark = pytest.mark.anyio
LAKE = Place(name="lake", kind="parquet", address="s3://me:xyzzy@bucket/lake", tables=("visits",))
OWN = Place(name="files", kind="parquet", address="s3://bucket/lake", tables=("s3://bucket/lake",), own=True)


class There:
    """The answer of a server, in place of `listed`."""

    def __init__(self, found: ScriptedTable | Exception | None) -> None:
        self.found = found
        self.asked: list[tuple[str, tuple[str, ...] | None]] = []

    def __call__(self, address: str, *, suffixes: tuple[str, ...] | None) -> RemoteTable | None:
        self.asked.append((address, suffixes))
        if isinstance(self.found, Exception):
            raise self.found
        return cast("RemoteTable | None", self.found)


@pytest.fixture
def tables(tmp_path: Path) -> RemoteTables:
    return RemoteTables(mirror=Mirror(tmp_path / "m", most_bytes=100, reserve_bytes=0))


def there(patch: pytest.MonkeyPatch, found: ScriptedTable | Exception | None) -> There:
    made = There(found)
    patch.setattr(remote_tables, "listed", made)
    return made


async def copied(tables: RemoteTables, place: Place, *, snapshot: str | None = "one") -> list[Path]:
    async with tables.copied(
        place, place.tables[0], snapshot=snapshot, limiter=CapacityLimiter(1), report=lambda _: None
    ) as parts:
        assert all(path.is_file() for path in parts.files)
        return list(parts.files)


async def test_a_table_of_an_operator_is_below_the_address(
    tables: RemoteTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = there(monkeypatch, ScriptedTable())
    assert len(await copied(tables, LAKE)) == 1
    assert server.asked == [("s3://me:xyzzy@bucket/lake/visits", (".parquet",))]
    await copied(tables, OWN)
    assert server.asked[-1] == ("s3://bucket/lake", None)


@pytest.mark.parametrize("cause", [None, ConnectionError("xyzzy")])
async def test_failures_of_an_operators_server_are_shown_without_its_words(
    tables: RemoteTables, monkeypatch: pytest.MonkeyPatch, cause: Exception | None
) -> None:
    error = SourceUnavailable("xyzzy")
    error.__cause__ = cause
    there(monkeypatch, error)
    with pytest.raises(SourceDown, match="no data" if cause is None else "ConnectionError") as caught:
        await copied(tables, LAKE)
    assert "xyzzy" not in str(caught.value)
    with pytest.raises(SourceUnavailable, match="xyzzy"):
        await copied(tables, OWN)


async def test_what_has_changed_is_not_the_table_that_was_asked_for(
    tables: RemoteTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    there(monkeypatch, ScriptedTable(snapshot="two"))
    with pytest.raises(SourceDown, match="were changed") as caught:
        await copied(tables, LAKE)
    assert caught.value.retry_after > 0
    with pytest.raises(SourceChanged):
        await copied(tables, OWN)

    def change(number: int) -> None:
        raise SourceChanged(f"xyzzy {number}")

    there(monkeypatch, ScriptedTable(before=change))
    with pytest.raises(SourceDown, match="were changed"):
        await copied(tables, LAKE)
    there(monkeypatch, None)
    with pytest.raises(SourceDown, match="no data"):
        await copied(tables, LAKE)


async def test_a_cancellation_ends_the_copy(tables: RemoteTables, monkeypatch: pytest.MonkeyPatch) -> None:
    table = ScriptedTable()
    table.gate.clear()
    there(monkeypatch, table)
    with anyio.CancelScope() as scope:
        table.before = lambda _: anyio.from_thread.run_sync(scope.cancel)
        await copied(tables, LAKE)
    table.gate.set()
    assert scope.cancelled_caught


async def test_the_wait_that_a_server_asks_for_is_that_of_the_source(tables: RemoteTables) -> None:
    with raw_http(b"HTTP/1.1 429 Slowly\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n") as server:
        place = Place(name="t.csv", kind="csv", address=f"{server.address}/t.csv", tables=("t.csv",))
        with pytest.raises(SourceDown) as caught:
            await tables.listed(place, "t.csv", limiter=CapacityLimiter(1))
    assert caught.value.retry_after == 7.0
    assert "127.0.0.1" not in str(caught.value)
