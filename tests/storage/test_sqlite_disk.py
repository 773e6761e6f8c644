"""SQLite store on a full or read-only disk, on a real file system."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.small_disk import SmallDisk

MIB = 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    made = SmallDisk(tmp_path / "disk", 8 * MIB)
    try:
        yield made
    finally:
        made.close()


def printed_by(disk: SmallDisk, folder: Path, body: str) -> list[str]:
    """Run the body in a coroutine of a subprocess; return the lines it prints."""
    program = f"""
import os, shutil, subprocess, trio
from contextlib import suppress
from pathlib import Path
from cqox.errors import StorageFull, StoreUnavailable
from cqox.storage import Ballast, SqliteStore
from tests.storage.records import a_dataset, a_report
from tests.storage.bound import in_default

folder = Path({str(folder)!r})
path, ballast = folder / "results.sqlite", Ballast(folder)
large = [a_report(number, body=b"x" * 300_000) for number in range(40)]

def fill():
    with open(folder / "of others", "ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))

def clear():
    (folder / "of others").unlink()

def remount(how):
    subprocess.run(["mount", "-o", f"remount,bind,{{how}}", str(folder)], check=True)

async def said(call):
    try:
        print(await call)
    except StoreUnavailable as error:
        print(type(error).__name__)

async def main():
{textwrap.indent(textwrap.dedent(body), "    ")}

trio.run(main)
"""
    return disk.run(program).split()


def test_the_ballast_is_for_essential_writes_and_reads_continue(disk: SmallDisk, tmp_path: Path) -> None:
    answers = printed_by(
        disk,
        tmp_path / "disk",
        """
        async with in_default(SqliteStore.open, path) as store:
            await store.register(a_dataset("a"))
            await said(store.save(large[0]))
        ballast.restore()
        fill()
        # Without the ballast the file could not be opened.
        async with in_default(SqliteStore.open, path, repair=True, ballast=ballast) as store:
            print(await store.load(large[0].analysis_id) == large[0], ballast.drop())
            fill()
            await said(store.save(large[1]))
            await said(store.ping())
            print(await store.load(large[0].analysis_id) == large[0])
            clear()
            ballast.restore()
            fill()
            await said(store.save(large[1]))
            await said(store.forget("a"))
            print(await store.ping(), ballast.drop())
            clear()
            await said(store.save(large[1]))
        """,
    )
    assert answers[:3] == ["True", "True", "False"]
    assert answers[3:6] == ["StorageFull", "StoreUnavailable", "True"]
    assert answers[6:] == ["StorageFull", "True", "None", "False", "True"]


def test_a_wal_checkpoint_frees_space_once_the_ballast_is_used(disk: SmallDisk, tmp_path: Path) -> None:
    answers = printed_by(
        disk,
        tmp_path / "disk",
        """
        async with in_default(SqliteStore.open, path) as store:
            for number in range(60):
                await store.register(a_dataset(f"a{number}"))
        async with in_default(SqliteStore.open, path) as store:
            for number in range(20):
                await said(store.forget(f"a{number}"))
            fill()
            for number in range(20, 60):
                await said(store.forget(f"a{number}"))
        """,
    )
    assert answers == ["True"] * 60


def test_a_full_disk_without_ballast_serves_reads_and_recovers(disk: SmallDisk, tmp_path: Path) -> None:
    answers = printed_by(
        disk,
        tmp_path / "disk",
        """
        async with in_default(SqliteStore.open, path) as store:
            await store.register(a_dataset("a"))
            await said(store.save(large[0]))
        fill()
        async with in_default(SqliteStore.open, path, repair=True, ballast=ballast) as store:
            print(await store.load(large[0].analysis_id) == large[0])
            await said(store.forget("a"))
            await said(store.ping())
            clear()
            await said(store.forget("a"))
            await said(store.ping())
        """,
    )
    assert answers == ["True", "True", "StorageFull", "StoreUnavailable", "True", "None"]


@pytest.mark.parametrize("crashed", [False, True])
def test_a_file_on_a_read_only_disk_is_read_with_its_wal(disk: SmallDisk, tmp_path: Path, crashed: bool) -> None:
    answers = printed_by(
        disk,
        tmp_path / "disk",
        f"""
        async with in_default(SqliteStore.open, path) as store:
            await said(store.save(large[0]))
            if {crashed}:
                for each in folder.glob("results*"):
                    shutil.copy(each, str(each).replace("results", "copied"))
        name = folder / ("copied.sqlite" if {crashed} else "results.sqlite")
        remount("ro")
        async with in_default(SqliteStore.open, name, repair=True) as store:
            print(await store.load(large[0].analysis_id) == large[0])
            await said(store.save(large[1]))
            await said(store.ping())
            remount("rw")
            await said(store.save(large[1]))
            await said(store.ping())
        """,
    )
    assert answers == ["True", "True", "StoreUnavailable", "StoreUnavailable", "True", "None"]
