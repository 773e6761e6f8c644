"""Files of one tenant in a data directory: one folder per data set, written atomically.

    datasets/<id>/table.parquet, …      output of a worker, moved into place in one rename
    datasets/<id>/manifest.json         the data set's record and the digest of each file
    datasets/<id>/original              the upload as it was sent (`cqox.storage.originals`)
    uploads/<owner>/                    files as clients send them
    incoming/<owner>-<random>/          data sets under construction
    reading/<owner>-<random>/           hard links to a data set while an analysis reads it
    removed/<owner>-<random>/           deleted data sets before their removal
    partial/<upload id>/                uploads that arrive in pieces (`cqox.storage.partial_uploads`)
    figures/<analysis id>/<name>.svg    rendered at their first GET
    erased/<data set id>                marker: its reports and jobs are to be deleted, later ones included

A reader links the files under names of its own, so a deletion does not affect it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cqox.errors import StoreUnavailable
from cqox.storage.contracts import DatasetRecord
from cqox.storage.dataset_folders import TABLE, DatasetFolders, touch
from cqox.storage.figure_files import FigureFiles, checked_part
from cqox.storage.leftovers import Erasures
from cqox.storage.manifest import read_manifest, rename_in_manifest
from cqox.storage.originals import ORIGINAL, Original
from cqox.storage.partial_uploads import PartialUploads
from cqox.storage.private import private_folder
from cqox.storage.readable import Readable, table_context
from cqox.storage.sealing import TenantSealing

if TYPE_CHECKING:
    from cqox.storage.data_directory import DataDirectory

__all__ = ["FileStore"]


class FileStore(FigureFiles):
    """The files of one tenant, as `DataDirectory.within` returns them.

    Args:
        directory: the data directory, which knows disk and processes.
        root: the folder of the tenant in it.
        sealing: encryption at rest for the tenant.

    Attributes:
        directory: the data directory.
        owner: unique name of this process among those on the volume.
        erasures: the data sets whose reports are deleted with them.
        originals: the originals of uploads.
        partial: the uploads that arrive in pieces.
        room: the free space of the disk.
        sealing: encryption at rest.

    If the disk is full, read-only or missing, every coroutine that writes raises `StoreUnavailable`.
    """

    def __init__(self, directory: "DataDirectory", root: Path, sealing: TenantSealing) -> None:
        super().__init__(directory, root, sealing, folders=("datasets", "figures"))
        self.originals = directory.originals
        self.erasures = Erasures(root / "erased")
        self.partial = PartialUploads(root / "partial", sealing)
        self._folders = DatasetFolders(
            root / "removed", self.owner, ballast=directory.ballast, erasures=self.erasures, sealing=sealing
        )

    async def keep(self, folder: Path, record: DatasetRecord, *, replace: bool = False) -> None:
        """Move an incoming folder into place as the files of this data set.

        The files are flushed before the rename, so a data set is complete or absent, also after a crash.

        Args:
            folder: the incoming folder; removed by this call.
            record: the data set.
            replace: whether to replace existing files; otherwise those stay.
        """
        place = self.folder_of(record.dataset_id)
        await self.threaded(partial(self._folders.keep, folder, place, record, replace=replace))

    async def has(self, dataset_id: str) -> bool:
        """See `TenantFiles`."""
        return await self.threaded((self.folder_of(dataset_id) / TABLE).exists)

    async def record(self, dataset_id: str) -> DatasetRecord | None:
        """See `TenantFiles`."""
        manifest = await self.threaded(read_manifest, self.folder_of(dataset_id), dataset_id, self.sealing)
        return None if manifest is None else manifest.record

    @asynccontextmanager
    async def reading(self, dataset_id: str) -> AsyncIterator[Readable]:
        """See `TenantFiles`."""
        with suppress(StoreUnavailable):
            # A disk that rejects the folders may still be read.
            self._ready()
        view = self._new("reading")
        try:
            link = partial(self._link_table, dataset_id, view, writable=self._prepared)
            yield await self.threaded(link)
        finally:
            await self.drop(view)

    def _link_table(self, dataset_id: str, view: Path, *, writable: bool) -> Readable:
        path = self._folders.link(self.folder_of(dataset_id), view, writable=writable)
        # The table with what describes it.
        files = {each: f"{table_context(dataset_id)}/{each.name}" for each in path.parent.glob(f"{TABLE}*")}
        return Readable(path=path, keys=self.sealing.keys_of(files))

    async def keep_original(self, dataset_id: str, path: Path, original: Original) -> None:
        """See `TenantFiles`."""
        place, kept = self.folder_of(dataset_id), self.originals.keep
        with suppress(StoreUnavailable):
            await self.threaded(partial(kept, place, path, original, check_room=self.room.check, sealing=self.sealing))

    async def original(self, dataset_id: str) -> tuple[Original | None, bool]:
        """See `TenantFiles`."""
        place = self.folder_of(dataset_id)
        return await self.threaded(self.originals.about, place, self.sealing), self.originals.has(place)

    @asynccontextmanager
    async def reading_original(self, dataset_id: str, *, verify: bool) -> AsyncIterator[tuple[Original, Path]]:
        """See `TenantFiles`."""
        self._ready()
        view = self._new("reading")
        try:
            link = partial(self._link_original, self.folder_of(dataset_id), view, verify=verify)
            yield await self.threaded(link), view / ORIGINAL
        finally:
            await self.drop(view)

    def _link_original(self, place: Path, view: Path, *, verify: bool) -> Original:
        private_folder(view)
        original = self.originals.link(place, view / ORIGINAL, verify=verify, sealing=self.sealing)
        with suppress(OSError):
            touch(place)
        return original

    async def delete(self, dataset_id: str) -> None:
        """See `TenantFiles`."""
        await self.threaded(self._folders.delete, self.folder_of(dataset_id))

    async def kept(self) -> Mapping[str, float]:
        """See `TenantFiles`."""

        def find() -> dict[str, float]:
            found = dict[str, float]()
            for path in self.listed("datasets"):
                with suppress(FileNotFoundError):
                    found[path.name] = (path / TABLE).stat().st_mtime
            return found

        return await self.threaded(find)

    async def used_at(self, dataset_id: str) -> float:
        """See `TenantFiles`."""
        place = self.folder_of(dataset_id)

        def find() -> float:
            try:
                return place.stat().st_mtime
            except FileNotFoundError:
                return 0.0

        return await self.threaded(find)

    async def use(self, dataset_id: str) -> None:
        """See `TenantFiles`."""
        with suppress(StoreUnavailable):
            await self.threaded(touch, self.folder_of(dataset_id))

    async def rename(self, dataset_id: str, name: str) -> None:
        """See `TenantFiles`."""
        with suppress(StoreUnavailable):
            folder = self.incoming()
            try:
                await self.threaded(rename_in_manifest, self.folder_of(dataset_id), folder, name, self.sealing)
            finally:
                await self.drop(folder)

    async def begin_erasure(self, dataset_id: str) -> None:
        """See `TenantFiles`."""
        with suppress(StoreUnavailable):
            await self.threaded(self.erasures.begin, checked_part(dataset_id))

    async def erased(self) -> Mapping[str, float]:
        """See `TenantFiles`."""
        return await self.threaded(self.erasures.all)

    async def end_erasure(self, dataset_id: str) -> None:
        """See `TenantFiles`."""
        await self.threaded(self.erasures.end, checked_part(dataset_id))

    async def digests(self, dataset_id: str) -> Mapping[str, str]:
        """See `TenantFiles`."""
        place, sealing = self.folder_of(dataset_id), self.sealing

        def read() -> dict[str, str]:
            manifest = read_manifest(place, dataset_id, sealing)
            original = self.originals.about(place, sealing)
            found = {} if manifest is None else dict(manifest.digests)
            return found if original is None else found | {ORIGINAL: original.digest}

        return await self.threaded(read)

    async def is_intact(self, dataset_id: str) -> bool:
        """See `TenantFiles`."""
        place = self.folder_of(dataset_id)
        return await self.threaded(self._folders.is_intact, place, place)

    def _complete(self) -> None:
        with suppress(OSError):
            self._folders.complete(self._root / "datasets")

    def listed(self, name: str) -> Sequence[Path]:
        """Return the entries of one of the folders."""
        # A tenant has no folders before its first file; those of the data directory itself must be there.
        folder = self._root / name
        return sorted(folder.iterdir()) if self._prepared or folder.exists() else ()

    def folder_of(self, dataset_id: str) -> Path:
        """Return the folder of the files of a data set, also where there are none."""
        return self._root / "datasets" / checked_part(dataset_id)
