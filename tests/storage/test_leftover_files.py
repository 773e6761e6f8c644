"""Files that killed engines, unknown processes and failed deletions leave behind."""

import errno
import sys
import time
from pathlib import Path

import anyio
import pytest

from cqox.errors import NotFound, StoreUnavailable
from tests.storage.bound import files_in
from tests.storage.stored_files import everything, kept

pytestmark = pytest.mark.anyio


async def test_leftovers_of_a_killed_engine_are_found_and_removed(tmp_path: Path) -> None:
    program = (
        "import os, signal; from pathlib import Path; from cqox.storage import DataDirectory\n"
        f"files = DataDirectory(Path({str(tmp_path)!r})).within('default')\n"
        "(files.incoming() / 'half').write_bytes(b'half'); (files.scratch / 'upload').write_bytes(b'up')\n"
        "print(files.owner, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = await anyio.run_process([sys.executable, "-c", program], check=False)
    owner = ended.stdout.decode().strip()
    assert len(everything(tmp_path)) == 2
    files = files_in(tmp_path)
    assert files.directory.is_alive(files.owner)
    assert not files.directory.is_alive(owner)
    assert files.directory.dead_owners() == [owner]
    await files.directory.reclaim(owner)
    assert files.directory.dead_owners() == []
    assert everything(tmp_path) == []


def test_a_closed_store_leaves_no_temporary_files(tmp_path: Path) -> None:
    files, other = files_in(tmp_path), files_in(tmp_path)
    (files.incoming() / "half").write_bytes(b"half")
    files.directory.close()
    assert everything(tmp_path) == []
    assert other.directory.dead_owners() == []
    assert not other.directory.is_alive(files.owner)


async def test_a_dead_engine_is_reclaimed_once(tmp_path: Path) -> None:
    files, other = files_in(tmp_path), files_in(tmp_path)
    (tmp_path / "engines/gone").touch()
    assert await files.directory.reclaim("gone")
    assert not await other.directory.reclaim("gone")


async def test_a_failed_deletion_is_not_reported_as_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_in(tmp_path)
    await kept(files, "a")

    def closed(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", closed)
        with pytest.raises(StoreUnavailable, match="read-only"):
            await files.delete("a")
    assert await files.has("a")


async def test_damage_is_reported_if_it_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_in(tmp_path)
    await kept(files, "a")
    (tmp_path / "datasets/a/table.parquet").write_bytes(b"tablE")

    def closed(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", closed)
    with pytest.raises(NotFound, match="damaged"):
        async with files.reading("a"):
            pass


async def test_leftovers_of_unknown_processes_and_failed_deletions_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, other = files_in(tmp_path), files_in(tmp_path)
    (tmp_path / "engines/departed").touch()
    left = [f"removed/{files.owner}-1", "incoming/forgotten-1", "uploads/forgotten"]
    stays = [f"incoming/{files.owner}-1", f"removed/{other.owner}-1", "reading/departed-1", f"uploads/{other.owner}"]
    for name in (*left, *stays):
        (tmp_path / name).mkdir(exist_ok=True)
    assert await files.directory.sweep() == 0
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 100_000)
    assert await files.directory.sweep() == 3
    assert [(tmp_path / name).exists() for name in left] == [False] * 3
    assert all((tmp_path / name).exists() for name in stays)


async def test_a_disk_that_was_full_from_the_start_is_not_swept_before_it_is_known_who_works_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "incoming/forgotten-1").mkdir(parents=True)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", full)
        files = files_in(tmp_path)
        now = time.time()
        patched.setattr(time, "time", lambda: now + 100_000)
        assert await files.directory.sweep() == 0
    await files.directory.recover()
    monkeypatch.setattr(time, "time", lambda: now + 100_000)
    assert await files.directory.sweep() == 1
    files.directory.close()


async def test_a_data_set_on_the_way_to_its_place_is_there_after_a_start(tmp_path: Path) -> None:
    await kept(files_in(tmp_path), "a")
    (tmp_path / "datasets" / "a").rename(tmp_path / "datasets" / "a.former")
    files = files_in(tmp_path)
    assert list(await files.kept()) == ["a"]
    assert await files.is_intact("a")
