"""Files of the product on a disk that refuses a share of its operations, by seed.

A refused operation raises StoreUnavailable and leaves what was there; what was acknowledged stays whole.
"""

import errno
from pathlib import Path
from random import Random

import pytest

from cqox.chaos.simulation.disk import DiskFault, SimulatedDisk
from cqox.errors import NotFound, StoreUnavailable
from cqox.fault_points import hooked
from cqox.storage import DataDirectory, FileStore
from tests.storage.records import a_dataset

pytestmark = pytest.mark.anyio

TABLE = b"table" * 200
FIGURE = b"<svg>figure</svg>"


class Workload:
    """Operations on the files of a tenant, and what they have acknowledged."""

    def __init__(self, files: FileStore, draw: Random) -> None:
        self.files = files
        self.draw = draw
        self.stored = set[str]()
        self.unknown = set[str]()
        self.offsets: dict[str, int] = {}
        self.refused = 0

    async def step(self) -> None:
        name = self.draw.choice("abc")
        operation = self.draw.choice((self.keep, self.delete, self.figure, self.begin, self.piece, self.piece))
        try:
            await operation(name)
        except StoreUnavailable:
            self.refused += 1

    async def keep(self, name: str) -> None:
        self.unknown.add(name)
        folder = self.files.incoming()
        try:
            self.files.sealing.write_file(folder / "table.parquet", TABLE, "table")
        except OSError:
            await self.files.drop(folder)
            return
        await self.files.keep(folder, a_dataset(name))
        self.unknown.discard(name)
        self.stored.add(name)

    async def delete(self, name: str) -> None:
        self.unknown.add(name)
        await self.files.delete(name)
        self.unknown.discard(name)
        self.stored.discard(name)

    async def figure(self, name: str) -> None:
        path = self.files.figure(name, "plot", "svg")
        await self.files.write_figure(path, FIGURE)
        assert await self.files.read_figure(path) in (FIGURE, None)

    async def begin(self, name: str) -> None:
        create = self.files.partial.create
        upload = await self.files.threaded(lambda: create(name=name, size_bytes=10_000, fingerprint=None))
        self.offsets[upload.upload_id] = 0

    async def piece(self, _: str) -> None:
        if not self.offsets:
            return
        upload_id = self.draw.choice(list(self.offsets))
        try:
            found = await self.files.threaded(self.files.partial.find, upload_id)
        except NotFound:
            # Its files cannot be read now.
            return
        assert found.offset >= self.offsets[upload_id]
        await self.files.threaded(self._append, upload_id, found.offset)

    def _append(self, upload_id: str, offset: int) -> None:
        try:
            piece = self.files.partial.open_piece(upload_id, offset)
        except NotFound:
            return
        try:
            piece.write(bytes([offset % 251]) * 100)
            self.offsets[upload_id] = piece.commit()
        finally:
            piece.close()

    async def check(self) -> None:
        for name in "abc":
            if name not in self.unknown:
                assert await self.files.has(name) == (name in self.stored)
            if await self.files.has(name):
                assert await self.files.is_intact(name)
                async with self.files.reading(name) as table:
                    assert table.path.read_bytes() == TABLE
        for upload_id, offset in self.offsets.items():
            assert self.files.partial.find(upload_id).offset >= offset


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize("seed", range(3))
async def test_what_was_acknowledged_stays_whole_while_operations_are_refused(
    tmp_path: Path, error: int, seed: int
) -> None:
    draw = Random(seed)
    workload = Workload(DataDirectory(tmp_path, reserve_bytes=0).within("default"), draw)
    disk = SimulatedDisk(tmp_path, draw=draw)
    with disk, hooked(disk.at_fault_point):
        for _ in range(4):
            for _ in range(10):
                await workload.step()
            with disk.failing(DiskFault(error=error, share=draw.choice((0.05, 0.3, 1.0)))):
                for _ in range(20):
                    await workload.step()
            await workload.check()
    assert workload.refused
    assert workload.stored | workload.unknown
