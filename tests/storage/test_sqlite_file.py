"""The file of the SQLite store: its schema and identity, and one call on a connection."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from cqox.errors import StoreUnavailable
from cqox.storage import SqliteStore, sqlite_schema
from cqox.storage.rows import row_of
from cqox.storage.sqlite_file import (
    Connection,
    Use,
    check_sqlite,
    code_of,
    damage_of,
    file_at,
    is_damage,
    is_disk_fault,
    marks,
    prepare,
    private_file,
)
from cqox.storage.sqlite_schema import MIGRATIONS, applied, migrate
from tests.storage.bound import in_default
from tests.storage.records import a_job

pytestmark = pytest.mark.anyio


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A connection to a new file."""
    made = sqlite3.connect(tmp_path / "results.sqlite", timeout=0, check_same_thread=False, factory=Connection)
    made.file = file_at(tmp_path / "results.sqlite")
    yield made
    made.close()


def error_of(code: int, text: str = "") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


def use_of(*connections: Connection, idle: SimpleQueue[Connection] | None = None, seconds: float = 60.0) -> Use:
    """Return a call that opens these connections, one after the other."""
    opened = iter(connections)
    return Use(idle or SimpleQueue(), lambda: next(opened), lambda _: True, seconds=seconds)


def test_an_unusable_file_is_reported_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    check_sqlite(path)
    assert not path.exists()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreUnavailable, match="newer version"):
        check_sqlite(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreUnavailable, match=r"results\.sqlite cannot be used: unable to open"):
        check_sqlite(path)


async def test_an_older_file_gets_the_index_and_keeps_its_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.sqlite"
    with monkeypatch.context() as older:
        older.setattr(sqlite_schema, "MIGRATIONS", sqlite_schema.MIGRATIONS[:3])
        async with in_default(SqliteStore.open, path) as store:
            names = ", ".join(a_job("j").__dataclass_fields__)
            statement = f"INSERT INTO jobs ({names}, owner, renewed_until) VALUES ({marks(9)})"
            await store._count(statement, *row_of(a_job("j")), "one", 1e12)
    async with in_default(SqliteStore.open, path) as store:
        assert [job.job_id for job in (await store.jobs()).items] == ["j"]
        names = await store._rows("SELECT name FROM sqlite_schema WHERE type = 'index'")
        assert ("jobs_by_time",) in [tuple(row) for row in names]


def test_a_file_is_known_by_its_identity_until_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    assert file_at(path) is None
    assert private_file(path) == path
    first = file_at(path)
    path.write_bytes(b"content")
    assert file_at(path) == first
    (tmp_path / "other").touch()
    (tmp_path / "other").replace(path)
    assert file_at(path) not in (None, first)


def test_the_file_is_private_from_the_start_and_an_existing_one_is_tightened(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    private_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for each in (path, tmp_path / "results.sqlite-wal"):
        each.write_bytes(b"content")
        each.chmod(0o644)
    private_file(path)
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
    assert path.read_bytes() == b"content"


def test_errors_of_the_file_are_distinguished_by_their_code_without_its_content() -> None:
    corrupt, full = error_of(sqlite3.SQLITE_CORRUPT, "malformed"), error_of(sqlite3.SQLITE_FULL, "full")
    # The lowest byte of an extended code is its kind.
    io = error_of(sqlite3.SQLITE_IOERR_FSYNC)
    text = sqlite3.OperationalError("Could not decode to UTF-8 column 'x' with text 'secret'")
    assert (code_of(io), code_of(None), code_of(ValueError())) == (sqlite3.SQLITE_IOERR, 0, 0)
    assert [is_damage(error) for error in (corrupt, text, full, io, None)] == [True, True, False, False, False]
    assert [is_disk_fault(error) for error in (corrupt, text, full, io, None)] == [False, False, True, True, False]
    assert damage_of(corrupt) == "malformed"
    assert "secret" not in damage_of(text)


def test_a_new_file_is_migrated_once_and_a_newer_one_never(connection: Connection) -> None:
    assert applied(connection) == 0
    assert migrate(connection) == len(MIGRATIONS)
    assert (applied(connection), migrate(connection)) == (len(MIGRATIONS), 0)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreUnavailable):
        migrate(connection)


def test_a_connection_writes_durably_and_overwrites_what_is_deleted(connection: Connection) -> None:
    prepare(connection)
    names = ("journal_mode", "synchronous", "secure_delete", "auto_vacuum")
    assert [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names] == ["wal", 2, 1, 2]


@pytest.mark.parametrize(("count", "text"), [(0, ""), (1, "?"), (3, "?, ?, ?")])
def test_there_is_a_placeholder_for_each_value(count: int, text: str) -> None:
    assert marks(count) == text


def test_a_call_is_one_transaction_and_its_connection_is_used_again(connection: Connection) -> None:
    idle: SimpleQueue[Connection] = SimpleQueue()
    use = use_of(connection, idle=idle)
    use.run(lambda c: c.execute("CREATE TABLE t (x)"))
    assert use.file == connection.file
    assert idle.get_nowait() is connection
    idle.put(connection)

    def fail(c: sqlite3.Connection) -> None:
        c.execute("INSERT INTO t VALUES (1)")
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        use_of(idle=idle).run(fail)
    assert use_of(idle=idle).run(lambda c: c.execute("SELECT count(*) FROM t").fetchone()) == (0,)


def test_a_busy_file_is_tried_again_until_the_time_is_up(connection: Connection) -> None:
    busy = [error_of(sqlite3.SQLITE_BUSY)] * 3
    idle: SimpleQueue[Connection] = SimpleQueue()
    idle.put(connection)

    def work(_: sqlite3.Connection) -> str:
        if busy:
            raise busy.pop()
        return "done"

    assert use_of(idle=idle).run(work) == "done"
    busy.append(error_of(sqlite3.SQLITE_BUSY))
    with pytest.raises(sqlite3.OperationalError):
        use_of(idle=idle, seconds=-1.0).run(work)


def test_a_connection_that_met_a_failing_disk_is_closed_and_one_on_a_full_disk_is_kept(connection: Connection) -> None:
    for code, kept in ((sqlite3.SQLITE_FULL, True), (sqlite3.SQLITE_IOERR, False)):
        idle: SimpleQueue[Connection] = SimpleQueue()
        idle.put(connection)

        def fail(_: sqlite3.Connection, code: int = code) -> None:
            raise error_of(code)

        with pytest.raises(sqlite3.OperationalError):
            use_of(idle=idle).run(fail)
        assert idle.empty() is not kept
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


async def test_an_interrupt_ends_a_running_query(connection: Connection) -> None:
    use, started = use_of(connection), threading.Event()
    caught: list[sqlite3.OperationalError] = []
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n WHERE begun()"

    def begun() -> bool:
        started.set()
        return True

    def work(c: sqlite3.Connection) -> None:
        c.create_function("begun", 0, begun)
        c.execute(endless).fetchone()

    def run() -> None:
        try:
            use.run(work)
        except sqlite3.OperationalError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(60)
    await use.interrupt()
    thread.join(60)
    assert [code_of(error) for error in caught] == [sqlite3.SQLITE_INTERRUPT]
