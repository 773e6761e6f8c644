"""Back up a real PostgreSQL with `pg_dump` and restore it with `pg_restore`: the commands of deploy/*.sh."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from cqox.storage import DatasetRecord, JobRecord, MigrationStatus, StoredReport
from cqox.storage.postgres import PostgresStore
from tests.servers import Postgres
from tests.storage.bound import in_default
from tests.storage.records import a_dataset, a_job, a_report

ROOT = Path(__file__).parents[2]
# JSON that JSONB cannot hold is among what must come back.
BODIES = (b'{"estimates":[]}', '{"name":"売上"}'.encode(), rb'{"name":"nul \u0000"}')

type Kept = tuple[list[StoredReport | None], list[DatasetRecord], JobRecord | None, list[MigrationStatus]]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    started = Postgres()
    try:
        started.start()
        yield started
    finally:
        started.close()


def options(script: str, program: str) -> list[str]:
    """The flags of a program in a script, but for those that say which server."""
    text = (ROOT / "deploy" / script).read_text(encoding="utf-8").replace("\\\n", " ")
    [line] = [line for line in text.splitlines() if f"postgres {program} " in line]
    return [flag for flag in re.findall(r"--[a-z-]+(?:=\w+)?", line) if not flag.startswith(("--username", "--dbname"))]


def program(server: Postgres, name: str, script: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [server._bin / name, *options(script, name), f"--dbname={server.url}"]
    return subprocess.run(command, input=given, capture_output=True)


async def fill(url: str) -> None:
    async with in_default(PostgresStore.open, url) as store:
        for number, body in enumerate(BODIES):
            await store.save(a_report(number, body=body))
        await store.register(a_dataset("d"))
        await store.put_job(a_job("j"), owner="one", seconds=3600)


async def kept(url: str) -> Kept:
    async with in_default(PostgresStore.open, url) as store:
        reports = [await store.load(f"{number:032x}") for number in range(len(BODIES))]
        datasets, job, steps = list(await store.datasets()), await store.job("j"), list(await store.migrations())
    return reports, datasets, job, steps


def emptied(server: Postgres) -> None:
    server.execute("DROP SCHEMA public CASCADE")
    server.execute("CREATE SCHEMA public")


def test_what_was_saved_comes_back_as_it_was_into_an_empty_or_another_database(server: Postgres) -> None:
    emptied(server)
    anyio.run(fill, server.url)
    before = anyio.run(kept, server.url)
    assert None not in before[0]
    assert before[2] is not None
    dump = program(server, "pg_dump", "backup.sh")
    assert dump.returncode == 0, dump.stderr

    emptied(server)
    assert program(server, "pg_restore", "restore.sh", dump.stdout).returncode == 0
    assert anyio.run(kept, server.url) == before

    server.execute("DELETE FROM reports")
    server.execute("UPDATE datasets SET name = 'changed'")
    assert program(server, "pg_restore", "restore.sh", dump.stdout).returncode == 0
    assert anyio.run(kept, server.url) == before


def test_a_backup_that_is_cut_changes_nothing(server: Postgres) -> None:
    emptied(server)
    anyio.run(fill, server.url)
    before = anyio.run(kept, server.url)
    dump = program(server, "pg_dump", "backup.sh").stdout
    assert program(server, "pg_restore", "restore.sh", dump[: len(dump) // 2]).returncode != 0
    assert anyio.run(kept, server.url) == before
