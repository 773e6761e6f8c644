"""Data set files: one folder per data set, written atomically.

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
    engines/<owner>                     liveness lock of each process on the volume
    ballast                             reserve for deletions on a full disk

Several engines may share one volume. A reader links the files under names of its own, so a deletion does not affect
it. The leftovers of a killed process carry its name, and the next process to start removes them.
"""

import re
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from logging import getLogger
from pathlib import Path

from anyio import CancelScope, CapacityLimiter, Lock, to_thread

from cqox.contract.messages import Message
from cqox.errors import NotFound, StorageFull, StoreUnavailable
from cqox.storage.ballast import Ballast
from cqox.storage.contracts import DatasetRecord
from cqox.storage.dataset_folders import TABLE, DatasetFolders, is_intact, touch
from cqox.storage.disk import unavailable
from cqox.storage.file_operations import remove, sync
from cqox.storage.leftovers import Erasures, sweep
from cqox.storage.liveness_lock import LivenessLock
from cqox.storage.manifest import read_manifest, rename_in_manifest
from cqox.storage.originals import ORIGINAL, Original, Originals
from cqox.storage.partial_uploads import PartialUploads
from cqox.storage.private import private_folder, private_opener, tighten, tighten_one
from cqox.storage.room import Room

__all__ = ["FileStore"]

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_OWNED = ("incoming", "reading", "removed", "uploads")
_logger = getLogger("cqox.storage")


class FileStore:
    """The data directory of an engine.

    Args:
        root: the folder, created if missing.
        reserve_bytes: space to keep free on its disk; `LEAST_FREE_BYTES` if None.
        originals_bytes: the most space that originals of uploads take; 0 keeps none.

    Attributes:
        owner: unique name of this process among those on the volume.
        erasures: the data sets whose reports are deleted with them.
        originals: the originals of uploads.
        partial: the uploads that arrive in pieces.
        room: the free space of the disk.
        reclaiming: lock held while the leftovers of dead processes are reclaimed.

    The store opens on a full or read-only disk: existing data can be read and deleted if the disk permits, and
    missing folders are created by `recover`. If the disk is full, read-only or missing, every coroutine
    that writes raises `StoreUnavailable`.
    """

    def __init__(self, root: Path, *, reserve_bytes: int | None = None, originals_bytes: int = 0) -> None:
        self._root = root
        self.erasures = Erasures(root / "erased")
        self.originals = Originals(root / "datasets", originals_bytes)
        self.partial = PartialUploads(root / "partial")
        self._limiter = CapacityLimiter(8)
        self.reclaiming = Lock()
        self._ballast = Ballast(root)
        self.room = Room(root, reserve_bytes=reserve_bytes, ballast=self._ballast, originals=self.originals)
        self._liveness: LivenessLock | None = None
        self._prepared = False
        self.owner = secrets.token_hex(8)
        self._folders = DatasetFolders(root / "removed", self.owner, ballast=self._ballast, erasures=self.erasures)
        self._scratch = root / "uploads" / self.owner
        try:
            self._prepare()
        except OSError as error:
            _logger.error("The data directory is not writable now, and is used read-only where possible: %s", error)

    @property
    def scratch(self) -> Path:
        """The folder for uploads in progress.

        Raises:
            StoreUnavailable: the disk is full or not writable.
        """
        self._ready()
        return self._scratch

    def close(self) -> None:
        """Leave the volume: remove the temporary files and the liveness lock of this process."""
        self._remove_entries_of(self.owner)
        if self._liveness is not None:
            self._liveness.close()

    async def recover(self) -> None:
        """Create the folders and the ballast that the disk rejected so far; remove originals that leave no reserve."""
        with suppress(StoreUnavailable):
            await self.threaded(self._recover)

    async def tighten(self) -> None:
        """Remove the access of other users to files of older versions; a cancellation stops half-way."""
        await to_thread.run_sync(tighten, self._root, limiter=CapacityLimiter(1), abandon_on_cancel=True)

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

    async def check(self) -> None:
        """Check that files can be written and that space is left.

        Raises:
            StoreUnavailable: they cannot, or free space is below the reserve.
        """
        await self.threaded(self.room.check_disk, self.scratch)

    async def check_room(self, wanted_bytes: int = 0) -> None:
        """Check that the disk keeps its reserve after a write of this size; remove originals of uploads for it.

        Raises:
            StorageFull: it does not.
        """
        await self.threaded(self.room.make, wanted_bytes)

    async def is_full(self) -> bool:
        """Return whether free space is below the reserve."""
        try:
            await self.check()
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
        place = self._place(record.dataset_id)
        await self.threaded(partial(self._folders.keep, folder, place, record, replace=replace))

    async def drop(self, folder: Path) -> None:
        """Remove an incoming folder and its content, also when the caller is cancelled."""
        with CancelScope(shield=True):
            await self.threaded(remove, folder)

    def has(self, dataset_id: str) -> bool:
        """Return whether the files of this data set exist."""
        return (self._place(dataset_id) / TABLE).exists()

    async def record(self, dataset_id: str) -> DatasetRecord | None:
        """Return the data set described by its manifest, for when the registry is unreachable; None without files."""
        manifest = await self.threaded(read_manifest, self._place(dataset_id))
        return None if manifest is None else manifest.record

    @asynccontextmanager
    async def reading(self, dataset_id: str) -> AsyncIterator[Path]:
        """Yield the path of the table, readable until the block exits even if the data set is deleted meanwhile.

        Raises:
            NotFound: the files are missing, or do not match their digests; the latter are removed.
        """
        view = self._new("reading")
        try:
            link = partial(self._folders.link, self._place(dataset_id), view, writable=self._prepared)
            yield await self.threaded(link)
        finally:
            await self.drop(view)

    async def keep_original(self, dataset_id: str, path: Path, original: Original) -> None:
        """Keep an uploaded file as the original of a data set where quota and disk permit; never raises."""
        place, kept = self._place(dataset_id), self.originals.keep
        with suppress(StoreUnavailable):
            await self.threaded(partial(kept, place, path, original, check_room=self.room.check))

    async def original(self, dataset_id: str) -> tuple[Original | None, bool]:
        """Return what the upload of this data set was, None where that was not recorded, and whether it is kept."""
        place = self._place(dataset_id)
        return await self.threaded(self.originals.about, place), self.originals.has(place)

    @asynccontextmanager
    async def reading_original(self, dataset_id: str, *, verify: bool) -> AsyncIterator[tuple[Original, Path]]:
        """Yield the original of a data set and the path of its file, readable until the block exits.

        Args:
            dataset_id: the data set.
            verify: whether to compare the digest of the file.

        Raises:
            NotFound: it is not kept, or was damaged and is removed.
        """
        self._ready()
        view = self._new("reading")
        try:
            link = partial(self._link_original, self._place(dataset_id), view, verify=verify)
            yield await self.threaded(link), view / ORIGINAL
        finally:
            await self.drop(view)

    def _link_original(self, place: Path, view: Path, *, verify: bool) -> Original:
        private_folder(view)
        original = self.originals.link(place, view / ORIGINAL, verify=verify)
        with suppress(OSError):
            touch(place)
        return original

    async def delete(self, dataset_id: str) -> None:
        """Remove the files of a data set; running readers are not affected."""
        await self.threaded(self._folders.delete, self._place(dataset_id))

    def kept(self) -> Sequence[str]:
        """Return the ids of all data sets with files."""
        return sorted(path.name for path in (self._root / "datasets").iterdir() if (path / TABLE).exists())

    def kept_at(self, dataset_id: str) -> float:
        """Return when its files were created, in seconds of the Unix epoch; 0 without files."""
        try:
            return (self._place(dataset_id) / TABLE).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def used_at(self, dataset_id: str) -> float:
        """Return when the data set was last uploaded or analysed, in seconds of the Unix epoch; 0 without files."""
        try:
            return self._place(dataset_id).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    async def use(self, dataset_id: str) -> None:
        """Record that the data set is used now; ignored if the disk rejects the write."""
        with suppress(StoreUnavailable):
            await self.threaded(touch, self._place(dataset_id))

    async def rename(self, dataset_id: str, name: str) -> None:
        """Write the name of a data set to its manifest, for when the registry is lost; ignored if the disk refuses."""
        with suppress(StoreUnavailable):
            folder = self.incoming()
            try:
                await self.threaded(rename_in_manifest, self._place(dataset_id), folder, name)
            finally:
                await self.drop(folder)

    async def begin_erasure(self, dataset_id: str) -> None:
        """Mark the reports of the data set for deletion; ignored if the disk rejects the mark."""
        with suppress(StoreUnavailable):
            await self.threaded(self.erasures.begin, _checked(dataset_id))

    async def sweep(self) -> int:
        """Remove leftovers of unknown processes and of failed deletions; return the number of entries removed."""
        if self._liveness is None:
            # Live processes are not known yet.
            return 0
        return await self.threaded(partial(sweep, self._root, _OWNED, self._liveness.known, own=self.owner))

    async def is_intact(self, dataset_id: str) -> bool:
        """Return whether every file of the data set has the digest of its manifest; reads all of them."""
        place = self._place(dataset_id)
        return await self.threaded(is_intact, place, place)

    def dead_owners(self) -> Sequence[str]:
        """Return the processes that exited without `close`, each until `reclaim`."""
        return [] if self._liveness is None else list(self._liveness.dead_owners())

    def is_alive(self, owner: str) -> bool:
        """Return whether a process of this name holds its liveness lock on this volume."""
        return self._liveness is not None and self._liveness.is_alive(owner)

    async def reclaim(self, owner: str) -> bool:
        """Remove the leftovers of a dead process; return False if another process has reclaimed them."""
        await self.threaded(self._remove_entries_of, owner)
        return self._liveness is not None and self._liveness.forget(owner)

    def drawn(self) -> Sequence[str]:
        """Return the ids of all analyses with a rendered figure."""
        return sorted(path.name for path in (self._root / "figures").iterdir())

    def drawn_at(self, analysis_id: str) -> float:
        """Return when a figure of this analysis was last rendered, in seconds of the Unix epoch; 0 if never."""
        try:
            return (self._root / "figures" / _checked(analysis_id)).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    async def erase(self, analysis_id: str) -> None:
        """Remove the rendered figures of an analysis; the next request renders them again."""
        folder = self._root / "figures" / _checked(analysis_id)
        await self.threaded(remove, folder)

    def figure(self, analysis_id: str, name: str, suffix: str) -> Path:
        """Return the path of the rendered figure, also before it is rendered."""
        return self._root / "figures" / _checked(analysis_id) / f"{_checked(name)}.{_checked(suffix)}"

    async def read(self, path: Path) -> bytes | None:
        """Return the bytes of a file, or None if it does not exist."""

        def read() -> bytes | None:
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

        return await self.threaded(read)

    async def write(self, path: Path, content: bytes) -> None:
        """Write the file atomically; a reader never sees a part of it."""

        def write() -> None:
            private_folder(path.parent, parents=True, exist_ok=True)
            scratch = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
            with open(scratch, "wb", opener=private_opener) as file:
                file.write(content)
            scratch.replace(path)

        await self.threaded(write)

    async def threaded[*Given, T](self, call: Callable[[*Given], T], *given: *Given) -> T:
        """Call a blocking function on files in a thread of this store.

        Raises:
            StoreUnavailable: the disk is full, read-only or missing.
        """
        try:
            return await to_thread.run_sync(call, *given, limiter=self._limiter)
        except OSError as error:
            raise unavailable(error) from error

    def _prepare(self) -> None:
        if self._prepared:
            return
        for name in ("datasets", "figures", *_OWNED):
            private_folder(self._root / name, parents=True, exist_ok=True)
            tighten_one(self._root / name)
        tighten_one(self._root.resolve())
        if self._liveness is None:
            self._liveness = LivenessLock(self._root / "engines", self.owner)
        private_folder(self._scratch, exist_ok=True)
        # Flush the folder entries: files in the folders are only as durable as these.
        for folder in (self._root, self._root.parent):
            with suppress(OSError):
                sync(folder)
        self._prepared = True

    def _ready(self) -> None:
        try:
            self._prepare()
        except OSError as error:
            raise unavailable(error) from error

    def _recover(self) -> None:
        self._prepare()
        self._ballast.restore()
        with suppress(StorageFull):
            self.room.make()

    def _place(self, dataset_id: str) -> Path:
        return self._root / "datasets" / _checked(dataset_id)

    def _new(self, kind: str) -> Path:
        return self._root / kind / f"{self.owner}-{secrets.token_hex(8)}"

    def _remove_entries_of(self, owner: str) -> None:
        for kind in _OWNED:
            for path in (self._root / kind).glob(f"{owner}*"):
                remove(path)


def _checked(part: str) -> str:
    if not _SAFE.fullmatch(part):
        raise NotFound(Message("storage.no-such-name", name=part[:80]))
    return part
