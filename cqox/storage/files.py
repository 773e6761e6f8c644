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

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from anyio import CancelScope

from cqox import randomness
from cqox.contract.messages import Message
from cqox.encryption import SealBroken
from cqox.errors import StoreUnavailable
from cqox.storage.contracts import DatasetRecord
from cqox.storage.dataset_folders import TABLE, DatasetFolders, touch
from cqox.storage.disk import unavailable
from cqox.storage.figure_files import FigureFiles, checked_part
from cqox.storage.file_operations import remove, sync
from cqox.storage.leftovers import Erasures
from cqox.storage.manifest import read_manifest, rename_in_manifest
from cqox.storage.originals import ORIGINAL, Original
from cqox.storage.partial_uploads import PartialUploads
from cqox.storage.private import private_folder, tighten_one
from cqox.storage.readable import Readable, table_context
from cqox.storage.sealing import UPLOAD, FileKeys, TenantSealing, Writer
from cqox.threads import run_in_thread

if TYPE_CHECKING:
    from cqox.storage.data_directory import DataDirectory

__all__ = ["FOLDERS", "OWNED", "FileStore"]

OWNED = ("incoming", "reading", "removed", "uploads")
"""Folders whose entries are named for their process."""

FOLDERS = ("datasets", "figures", *OWNED)
"""Folders of a tenant that exist from its first file on."""


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
        self.directory = directory
        super().__init__(root, sealing)
        self.owner = directory.owner
        self.originals = directory.originals
        self.room = directory.room
        self.erasures = Erasures(root / "erased")
        self.partial = PartialUploads(root / "partial", sealing)
        self._folders = DatasetFolders(
            root / "removed", self.owner, ballast=directory.ballast, erasures=self.erasures, sealing=sealing
        )
        self._scratch = root / "uploads" / self.owner
        self._prepared = False

    @property
    def scratch(self) -> Path:
        """The folder for uploads in progress.

        Raises:
            StoreUnavailable: the disk is full or not writable.
        """
        self._ready()
        return self._scratch

    def incoming(self) -> Path:
        """Create an empty folder to write into; `keep` it or `drop` it.

        Raises:
            StoreUnavailable: the disk is full, or missing.
        """
        self._ready()
        folder = self._new("incoming")
        try:
            private_folder(folder)
        except OSError as error:
            raise unavailable(error) from error
        return folder

    async def check_room(self, wanted_bytes: int = 0) -> None:
        """Check that the disk keeps its reserve after a write of this size; remove originals of uploads for it.

        Raises:
            StorageFull: it does not.
        """
        await self.directory.check_room(wanted_bytes)

    async def is_full(self) -> bool:
        """Return whether free space is below the reserve."""
        try:
            await self.directory.check()
        except StoreUnavailable:
            return True
        return False

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

    async def drop(self, folder: Path) -> None:
        """Remove an incoming folder and its content, also when the caller is cancelled."""
        with CancelScope(shield=True):
            await self.threaded(remove, folder)

    def has(self, dataset_id: str) -> bool:
        """Return whether the files of this data set exist."""
        return (self.folder_of(dataset_id) / TABLE).exists()

    async def record(self, dataset_id: str) -> DatasetRecord | None:
        """Return the data set described by its manifest, for when the registry is unreachable; None without files."""
        manifest = await self.threaded(read_manifest, self.folder_of(dataset_id), dataset_id, self.sealing)
        return None if manifest is None else manifest.record

    @asynccontextmanager
    async def reading(self, dataset_id: str) -> AsyncIterator[Readable]:
        """Yield the table, readable until the block exits even if the data set is deleted meanwhile.

        Raises:
            NotFound: the files are missing, or do not match their digests; the latter are removed.
            StoreUnavailable: they are sealed, and their key is not there.
        """
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
        """Keep an uploaded file as the original of a data set where quota and disk permit; never raises."""
        place, kept = self.folder_of(dataset_id), self.originals.keep
        with suppress(StoreUnavailable):
            await self.threaded(partial(kept, place, path, original, check_room=self.room.check, sealing=self.sealing))

    async def original(self, dataset_id: str) -> tuple[Original | None, bool]:
        """Return what the upload of this data set was, None where that was not recorded, and whether it is kept."""
        place = self.folder_of(dataset_id)
        return await self.threaded(self.originals.about, place, self.sealing), self.originals.has(place)

    @asynccontextmanager
    async def reading_original(self, dataset_id: str, *, verify: bool) -> AsyncIterator[tuple[Original, Path]]:
        """Yield the original of a data set and the path of its file, which may be sealed, until the block exits.

        Args:
            dataset_id: the data set.
            verify: whether to compare the digest of the file.

        Raises:
            NotFound: it is not kept, or was damaged and is removed.
        """
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

    def upload_writer(self, file: IO[bytes]) -> Writer:
        """Return a writer of the bytes of an upload, which closes the file; blocking."""
        return self.sealing.writer(file, UPLOAD)

    async def ingesting(self, path: Path, dataset_id: str) -> FileKeys:
        """Return what a worker needs to read an uploaded file and to write the table of a data set."""
        if not self.sealing.is_on:
            # No upload is sealed.
            return FileKeys()
        keys_of = partial(self.sealing.keys_of, {path: UPLOAD}, new=table_context(dataset_id))
        return await self.threaded(keys_of)

    async def writing(self, dataset_id: str) -> FileKeys:
        """Return what a worker needs to write the table of a data set."""
        return await self.threaded(partial(self.sealing.keys_of, {}, new=table_context(dataset_id)))

    async def opening(self, path: Path) -> Readable:
        """Return an uploaded file for a worker to read."""
        return Readable(path=path, keys=await self.threaded(self.sealing.keys_of, {path: UPLOAD}))

    async def digest(self, path: Path) -> str:
        """Return the BLAKE2b digest of an uploaded file as it was sent, 32 hexadecimal digits.

        A cancellation returns at once, and leaves the thread that reads.
        """
        try:
            return await run_in_thread(self.sealing.digest, path, UPLOAD, abandon_on_cancel=True)
        except SealBroken as error:
            raise StoreUnavailable(Message("encryption.seal-broken", what="upload")) from error

    async def delete(self, dataset_id: str) -> None:
        """Remove the files of a data set; running readers are not affected."""
        await self.threaded(self._folders.delete, self.folder_of(dataset_id))

    def kept(self) -> Sequence[str]:
        """Return the ids of all data sets with files."""
        return [path.name for path in self.listed("datasets") if (path / TABLE).exists()]

    def kept_at(self, dataset_id: str) -> float:
        """Return when its files were created, in seconds of the Unix epoch; 0 without files."""
        try:
            return (self.folder_of(dataset_id) / TABLE).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def used_at(self, dataset_id: str) -> float:
        """Return when the data set was last uploaded or analysed, in seconds of the Unix epoch; 0 without files."""
        try:
            return self.folder_of(dataset_id).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    async def use(self, dataset_id: str) -> None:
        """Record that the data set is used now; ignored if the disk rejects the write."""
        with suppress(StoreUnavailable):
            await self.threaded(touch, self.folder_of(dataset_id))

    async def rename(self, dataset_id: str, name: str) -> None:
        """Write the name of a data set to its manifest, for when the registry is lost; ignored if the disk refuses."""
        with suppress(StoreUnavailable):
            folder = self.incoming()
            try:
                await self.threaded(rename_in_manifest, self.folder_of(dataset_id), folder, name, self.sealing)
            finally:
                await self.drop(folder)

    async def begin_erasure(self, dataset_id: str) -> None:
        """Mark the reports of the data set for deletion; ignored if the disk rejects the mark."""
        with suppress(StoreUnavailable):
            await self.threaded(self.erasures.begin, checked_part(dataset_id))

    async def digests(self, dataset_id: str) -> Mapping[str, str]:
        """Return the digest of each file of a data set, by its name, with that of its original; empty without files."""
        place, sealing = self.folder_of(dataset_id), self.sealing

        def read() -> dict[str, str]:
            manifest = read_manifest(place, dataset_id, sealing)
            original = self.originals.about(place, sealing)
            found = {} if manifest is None else dict(manifest.digests)
            return found if original is None else found | {ORIGINAL: original.digest}

        return await self.threaded(read)

    async def is_intact(self, dataset_id: str) -> bool:
        """Return whether every file of the data set has the digest of its manifest; reads all of them."""
        place = self.folder_of(dataset_id)
        return await self.threaded(self._folders.is_intact, place, place)

    async def threaded[*Given, T](self, call: Callable[[*Given], T], *given: *Given) -> T:
        """Call a blocking function on files in a thread of this store.

        Raises:
            StoreUnavailable: the disk is full, read-only or missing.
        """
        return await self.directory.threaded(call, *given)

    def prepare(self) -> None:
        """Create the folders.

        Raises:
            OSError: the disk rejects them.
        """
        if self._prepared:
            return
        self.directory.prepare()
        # One by one: parents that are created along the way would have another mode.
        for folder in (self._root.parent, self._root, *(self._root / name for name in FOLDERS), self._scratch):
            private_folder(folder, exist_ok=True)
        for name in FOLDERS:
            tighten_one(self._root / name)
        with suppress(OSError):
            self._folders.complete(self._root / "datasets")
        # Flush the folder entries: files in the folders are only as durable as these. The last one holds that of all
        # tenants, which is made with the first of them.
        for folder in (self._root, self._root.parent, self._root.parent.parent):
            with suppress(OSError):
                sync(folder)
        self._prepared = True

    def forget(self) -> None:
        """Expect no folders any more: they were removed, and are created again with the next file."""
        self._prepared = False

    def _ready(self) -> None:
        try:
            self.prepare()
        except OSError as error:
            raise unavailable(error) from error

    def listed(self, name: str) -> Sequence[Path]:
        """Return the entries of one of the folders."""
        # A tenant has no folders before its first file; those of the data directory itself must be there.
        folder = self._root / name
        return sorted(folder.iterdir()) if self._prepared or folder.exists() else ()

    def folder_of(self, dataset_id: str) -> Path:
        """Return the folder of the files of a data set, also where there are none."""
        return self._root / "datasets" / checked_part(dataset_id)

    def _new(self, kind: str) -> Path:
        return self._root / kind / f"{self.owner}-{randomness.token_hex(8)}"
