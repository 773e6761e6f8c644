"""An engine that is killed at each of its file operations, while another one on the same volume lives on."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import anyio
import pytest

from cqox.chaos.simulation.disk import CHANGES, DiskEvent, ProcessDead, SimulatedDisk
from cqox.errors import CqoxError
from cqox.fault_points import hooked
from cqox.storage import DataDirectory, FileStore
from tests.storage.records import a_dataset

TABLE = b"table" * 200


async def stored(files: FileStore, name: str) -> None:
    folder = files.incoming()
    files.sealing.write_file(folder / "table.parquet", TABLE, "table")
    await files.keep(folder, a_dataset(name))


async def appended(files: FileStore) -> None:
    upload = files.partial.create(name="a.csv", size_bytes=6, fingerprint=None)
    piece = files.partial.open_piece(upload.upload_id, 0)
    piece.write(b"abc")
    piece.commit()
    piece.write(b"def")
    piece.commit()
    piece.close()


async def read(files: FileStore) -> None:
    async with files.reading("before"):
        pass


OPERATIONS: dict[str, Callable[[FileStore], Awaitable[object]]] = {
    "store": lambda files: stored(files, "new"),
    "store what is there": lambda files: stored(files, "before"),
    "delete": lambda files: files.delete("before"),
    "rename": lambda files: files.rename("before", "renamed.csv"),
    "read": read,
    "upload": appended,
    "figure": lambda files: files.write_figure(files.figure("a", "plot", "svg"), b"<svg/>"),
}


class Volume:
    """A disk with two engines, one of which is killed before one of its changes."""

    def __init__(self, root: Path, kill_at: int) -> None:
        self.now = "first"
        self.count = 0
        self.kill_at = kill_at
        self.disk = SimulatedDisk(root, draw=Random(1), who=lambda: self.now, observe=self.observe)
        self.is_counting = False

    def observe(self, event: DiskEvent) -> None:
        if self.is_counting and event.who == "killed" and event.operation in CHANGES:
            self.count += 1
            if self.count == self.kill_at:
                self.disk.kill("killed")

    @property
    def is_killed(self) -> bool:
        return 0 < self.kill_at <= self.count


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_other_engine_finds_whole_files_and_reclaims_what_the_killed_one_left(tmp_path: Path, name: str) -> None:
    anyio.run(_each_kill, tmp_path, OPERATIONS[name], backend="trio")


async def _each_kill(tmp_path: Path, operation: Callable[[FileStore], Awaitable[object]]) -> None:
    kill_at, is_killed = 0, True
    while is_killed:
        kill_at += 1
        root = tmp_path / str(kill_at)
        root.mkdir()
        volume = Volume(root, kill_at)
        with volume.disk, hooked(volume.disk.at_fault_point):
            other = DataDirectory(root, reserve_bytes=0)
            await stored(other.within("default"), "before")
            volume.now = "killed"
            killed = DataDirectory(root, reserve_bytes=0)
            files = killed.within("default")
            volume.is_counting = True
            try:
                await operation(files)
            except (CqoxError, ProcessDead):
                assert volume.is_killed
            is_killed = volume.is_killed
            volume.disk.kill("killed")
            volume.now = "first"
            await _check(other, killed.owner)
            # Whatever it does has no effect any more.
            volume.now = "killed"
            killed.close()
            volume.now = "first"
            assert other.is_alive(other.owner)
        if is_killed:
            assert volume.count >= kill_at
    assert kill_at > 3


async def _check(directory: DataDirectory, dead: str) -> None:
    files = directory.within("default")
    assert directory.dead_owners() == [dead]
    assert not directory.is_alive(dead)
    assert await directory.reclaim(dead)
    assert directory.dead_owners() == []
    for kind in ("incoming", "reading", "removed", "uploads"):
        assert [path.name for path in files.listed(kind) if path.name.startswith(dead)] == []
    for name in ("before", "new"):
        if await files.has(name):
            assert await files.is_intact(name)
            async with files.reading(name) as table:
                assert table.path.read_bytes() == TABLE
    # What the killed one had begun can be done again.
    for name in ("before", "new"):
        await stored(files, name)
        assert await files.has(name)
    for upload_id in files.partial.ids():
        found = files.partial.find(upload_id)
        piece = files.partial.open_piece(upload_id, found.offset)
        piece.write(b"abcdef"[found.offset :])
        assert piece.commit() == 6
        piece.close()
    content = await files.read_figure(files.figure("a", "plot", "svg"))
    assert content in (None, b"<svg/>")
