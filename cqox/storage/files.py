"""Data set files: one folder for each data set, complete or not there at all.

    datasets/<id>/table.parquet, …            what a worker wrote, moved into place in one rename
    datasets/<id>/manifest.json               the data set's record and the digest of each file
    uploads/<owner>/                          files as clients send them
    incoming/<owner>-<random>/                what is being made of them
    reading/<owner>-<random>/                 a data set for as long as an analysis reads it
    removed/<owner>-<random>/                 deleted, about to go
    figures/<analysis id>/<name>.svg          drawn at their first GET
    erased/<data set id>                      its reports and jobs are to go, and those that are still computed
    engines/<owner>                           one for each process that works here
    ballast                                   space for deletions on a full disk

Several engines may work on one volume. A reader has names of its own for the files (hard links), so that whoever
deletes a data set takes nothing from it. What a process that was killed leaves behind bears its name, and the next
process to start removes it.
"""

import errno
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from logging import getLogger
from pathlib import Path

from anyio import CancelScope, CapacityLimiter, Lock, to_thread

from cqox.errors import NotFound, StoreUnavailable
from cqox.storage.ballast import Ballast
from cqox.storage.contracts import DatasetRecord
from cqox.storage.disk import alone, check_disk, check_room, is_disk_fault, is_full, unavailable
from cqox.storage.file_operations import link_or_copy, remove, stamp, sync
from cqox.storage.leftovers import Erasures, sweep
from cqox.storage.liveness_lock import Presence
from cqox.storage.manifest import MANIFEST, digest_of, read_manifest, write_manifest
from cqox.storage.private import private_folder, private_opener, tighten, tighten_one

__all__ = ["TABLE", "FileStore"]

TABLE = "table.parquet"
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_OWNED = ("incoming", "reading", "removed", "uploads")
_MOST_VERIFIED = 10_000
_logger = getLogger("cqox.storage")


class FileStore:
    """The data directory of an engine.

    Args:
        root: the folder, created where there is none.
        reserve_bytes: space that is left free on its disk; `LEAST_FREE_BYTES` if absent.

    Attributes:
        owner: the name of this process among those that work on the volume.
        erasures: the data sets whose reports are to go with them.
        settling: held by whoever settles the affairs of departed processes.

    A disk that is full or takes no writes is no reason not to open: what is there can be read and deleted as far as the
    disk lets it, and what is missing is made by `recover`. Where the disk is full, takes no writes or is gone, every
    coroutine that writes raises `StoreUnavailable`.
    """

    def __init__(self, root: Path, *, reserve_bytes: int | None = None) -> None:
        self._root = root
        self._reserve_bytes = reserve_bytes
        self.erasures = Erasures(root / "erased")
        self._limiter = CapacityLimiter(8)
        self.settling = Lock()
        self._verified: dict[str, tuple[tuple[int, int, int], ...]] = {}
        self._ballast = Ballast(root)
        self._presence: Presence | None = None
        self._prepared = False
        self.owner = secrets.token_hex(8)
        self._scratch = root / "uploads" / self.owner
        try:
            self._prepare()
        except OSError as error:
            _logger.error("The data directory takes no writes now, and is used as far as it goes: %s", error)

    @property
    def scratch(self) -> Path:
        """A folder for files on their way in.

        Raises:
            StoreUnavailable: the disk has no room for it, or takes no writes.
        """
        self._ready()
        return self._scratch

    def close(self) -> None:
        """Leave the volume: nothing of this process is left on it but what it kept."""
        self._remove_what_is_of(self.owner)
        if self._presence is not None:
            self._presence.close()

    async def recover(self) -> None:
        """Make up for what the disk did not take so far, where it does now: folders, and the ballast."""
        with suppress(StoreUnavailable):
            await self._threaded(self._recover)

    async def tighten(self) -> None:
        """Take what older versions left open to other users from them; a cancellation leaves the rest as it is."""
        await to_thread.run_sync(tighten, self._root, limiter=CapacityLimiter(1), abandon_on_cancel=True)

    def incoming(self) -> Path:
        """A new empty folder to write into; `keep` it or `drop` it.

        Raises:
            StoreUnavailable: the disk has no room for it, or is gone.
        """
        self._ready()
        folder = self._new("incoming")
        try:
            private_folder(folder)
        except OSError as error:
            raise unavailable(error) from error
        return folder

    async def check(self) -> None:
        """Nothing, if files can be written and there is room for some.

        Raises:
            StoreUnavailable: they cannot, or there is hardly any.
        """
        lacking = self._ballast.lacking_bytes
        await self._threaded(partial(check_disk, self.scratch, self._reserve_bytes, ballast_bytes=lacking))

    async def check_room(self, wanted_bytes: int = 0) -> None:
        """Nothing, if the disk keeps its reserve once so much is written.

        Raises:
            StorageFull: it does not.
        """
        lacking = self._ballast.lacking_bytes
        await self._threaded(
            partial(check_room, self._root, self._reserve_bytes, wanted_bytes=wanted_bytes, ballast_bytes=lacking)
        )

    async def is_full(self) -> bool:
        """Whether there is hardly any room for files, or none."""
        try:
            await self.check()
        except StoreUnavailable:
            return True
        return False

    async def keep(self, folder: Path, record: DatasetRecord, *, replace: bool = False) -> None:
        """Make what is in an incoming folder the files of this data set.

        The files are on the disk before the rename, so that a data set is complete or absent, also after a crash.

        Args:
            folder: the folder; it goes.
            record: the data set.
            replace: whether to take the place of files that are there already; else those stay.
        """
        await self._threaded(self._keep, folder, record, replace)

    async def drop(self, folder: Path) -> None:
        """Remove an incoming folder and what is in it, whether or not the caller is cancelled."""
        with CancelScope(shield=True):
            await self._threaded(remove, folder)

    def has(self, dataset_id: str) -> bool:
        """Whether the files of this data set are there."""
        return (self._place(dataset_id) / TABLE).exists()

    async def record(self, dataset_id: str) -> DatasetRecord | None:
        """The data set as its files tell it, for when the registry cannot be asked; None where there are none."""
        manifest = await self._threaded(read_manifest, self._place(dataset_id))
        return None if manifest is None else manifest.record

    @asynccontextmanager
    async def reading(self, dataset_id: str) -> AsyncIterator[Path]:
        """The path of the table, readable until the block is left even if anybody deletes the data set meanwhile.

        Raises:
            NotFound: the files are gone, or no longer what was kept; the latter are removed.
        """
        view = self._new("reading")
        try:
            yield await self._threaded(self._readable, self._place(dataset_id), view)
        finally:
            await self.drop(view)

    async def delete(self, dataset_id: str) -> None:
        """Remove the files of a data set; whoever is reading them goes on."""
        await self._threaded(self._delete, self._place(dataset_id))

    def kept(self) -> Sequence[str]:
        """Ids of all data sets whose files are there."""
        return sorted(path.name for path in (self._root / "datasets").iterdir() if (path / TABLE).exists())

    def kept_at(self, dataset_id: str) -> float:
        """When its files were made, in seconds of the Unix epoch; 0 where there are none."""
        try:
            return (self._place(dataset_id) / TABLE).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def used_at(self, dataset_id: str) -> float:
        """When the data set was last uploaded or analysed, in seconds of the Unix epoch; 0 where there are no files."""
        try:
            return self._place(dataset_id).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    async def use(self, dataset_id: str) -> None:
        """Note that the data set is used now. Where the disk does not take that, it is left."""
        with suppress(StoreUnavailable):
            await self._threaded(_touch, self._place(dataset_id))

    async def begin_erasure(self, dataset_id: str) -> None:
        """Note that the reports of the data set go with it. A disk that does not take the note is done without."""
        with suppress(StoreUnavailable):
            await self._threaded(self.erasures.begin, _checked(dataset_id))

    async def sweep(self) -> int:
        """Remove what processes that nobody knows any longer, and failed deletions, left behind; how much that was."""
        if self._presence is None:
            # Who lives here cannot be told yet.
            return 0
        return await self._threaded(partial(sweep, self._root, _OWNED, self._presence.known, own=self.owner))

    async def is_whole(self, dataset_id: str) -> bool:
        """Whether every file of the data set has the digest that it was kept with; reads all of them."""
        place = self._place(dataset_id)
        return await self._threaded(_is_whole, place, place)

    def departed(self) -> Sequence[str]:
        """The processes that worked on this volume and ended without leaving it, each until `bury`."""
        return [] if self._presence is None else list(self._presence.departed())

    def lives(self, owner: str) -> bool:
        """Whether a process of this name works on this volume now."""
        return self._presence is not None and self._presence.lives(owner)

    async def bury(self, owner: str) -> bool:
        """Remove what a departed process has left behind; whether nobody else has buried it."""
        await self._threaded(self._remove_what_is_of, owner)
        return self._presence is not None and self._presence.bury(owner)

    def drawn(self) -> Sequence[str]:
        """Ids of all analyses of which a figure has been drawn."""
        return sorted(path.name for path in (self._root / "figures").iterdir())

    def drawn_at(self, analysis_id: str) -> float:
        """When a figure of this analysis was last drawn, in seconds of the Unix epoch; 0 where none was."""
        try:
            return (self._root / "figures" / _checked(analysis_id)).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    async def erase(self, analysis_id: str) -> None:
        """Remove the drawn figures of an analysis; they are drawn again when somebody asks."""
        folder = self._root / "figures" / _checked(analysis_id)
        await self._threaded(remove, folder)

    def figure(self, analysis_id: str, name: str, suffix: str) -> Path:
        """Where the drawn figure is kept, whether or not it has been drawn."""
        return self._root / "figures" / _checked(analysis_id) / f"{_checked(name)}.{_checked(suffix)}"

    async def read(self, path: Path) -> bytes | None:
        """The bytes of a file, None where there is none."""

        def read() -> bytes | None:
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

        return await self._threaded(read)

    async def write(self, path: Path, content: bytes) -> None:
        """Put the bytes in place whole; a reader never sees a part of them."""

        def write() -> None:
            private_folder(path.parent, parents=True, exist_ok=True)
            scratch = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
            with open(scratch, "wb", opener=private_opener) as file:
                file.write(content)
            scratch.replace(path)

        await self._threaded(write)

    async def _threaded[*Given, T](self, call: Callable[[*Given], T], *given: *Given) -> T:
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
        if self._presence is None:
            self._presence = Presence(self._root / "engines", self.owner)
        private_folder(self._scratch, exist_ok=True)
        # What is kept in the folders is as durable as their names.
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

    def _place(self, dataset_id: str) -> Path:
        return self._root / "datasets" / _checked(dataset_id)

    def _new(self, kind: str) -> Path:
        return self._root / kind / f"{self.owner}-{secrets.token_hex(8)}"

    def _keep(self, folder: Path, record: DatasetRecord, replace: bool) -> None:
        write_manifest(folder, record)
        for path in [*folder.iterdir(), folder]:
            # What wrote it may have done so under another umask.
            tighten_one(path)
            sync(path)
        place = self._place(record.dataset_id)
        self.erasures.end(record.dataset_id)
        if replace:
            self._delete(place)
        try:
            folder.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            self._settle(folder, place)
        sync(place.parent)

    def _settle(self, folder: Path, place: Path) -> None:
        """What is in the place stays if it is a data set; what has lost its table makes room."""
        with alone(place.parent):
            # Looked at under the lock: another engine may have put it right meanwhile, and that must not be moved away.
            if (place / TABLE).exists():
                remove(folder)
                return
            _logger.error("The data set %s had lost its %s, and is kept anew.", place.name, TABLE)
            self._delete(place)
            try:
                folder.rename(place)
            except OSError:
                # Another engine, which found the place empty, needed no lock.
                if not (place / TABLE).exists():
                    raise
                remove(folder)

    def _delete(self, place: Path) -> None:
        self._verified.pop(place.name, None)
        grave = self._new("removed")
        try:
            self._move(place, grave)
        except OSError as error:
            if not place.exists():
                return
            if not is_full(error) and not isinstance(error, FileNotFoundError):
                raise
            # There is no room for another name. What has lost its table is no data set any more.
            (place / TABLE).unlink(missing_ok=True)
            remove(place)
        # What was said to be deleted must not be back after a power cut.
        sync(place.parent)
        remove(grave)

    def _move(self, place: Path, grave: Path) -> None:
        try:
            place.rename(grave)
        except OSError as error:
            if not is_full(error) or not self._ballast.drop():
                raise
            place.rename(grave)

    def _readable(self, place: Path, view: Path) -> Path:
        """The path of the table under a name of its own, or its own where the disk takes no other name."""
        try:
            self._link(place, view)
        except OSError as error:
            if self._prepared and not is_disk_fault(error):
                raise
            remove(view)
            if not _is_whole(place, place):
                raise _damaged(place) from error
            return place / TABLE
        return view / TABLE

    def _link(self, place: Path, view: Path) -> None:
        gone = NotFound(f"The files of data set '{place.name}' are no longer there; upload it again.")
        try:
            # All names are looked up in one folder, even if another one takes its place meanwhile.
            handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            raise gone from None
        try:
            private_folder(view)
            names = sorted(os.listdir(handle))
            if TABLE not in names:
                raise gone
            for name in names:
                link_or_copy(name, view / name, handle)
        except FileNotFoundError:
            raise gone from None
        finally:
            os.close(handle)
        seen = tuple(stamp(view / name) for name in names)
        if self._verified.get(place.name) != seen:
            if not _is_whole(view, place):
                self._delete(place)
                raise _damaged(place)
            while len(self._verified) >= _MOST_VERIFIED:
                del self._verified[next(iter(self._verified))]
            self._verified[place.name] = seen
        with suppress(OSError):
            _touch(place)

    def _remove_what_is_of(self, owner: str) -> None:
        for kind in _OWNED:
            for path in (self._root / kind).glob(f"{owner}*"):
                remove(path)


def _checked(part: str) -> str:
    if not _SAFE.fullmatch(part):
        raise NotFound(f"There is nothing under the name '{part[:80]}'.")
    return part


def _damaged(place: Path) -> NotFound:
    return NotFound(f"The files of data set '{place.name}' were damaged and are removed; upload it again.")


def _is_whole(folder: Path, place: Path) -> bool:
    manifest = read_manifest(folder)
    if manifest is None:
        _logger.error("The data set %s has no readable %s.", place.name, MANIFEST)
        return False
    for name, digest in manifest.digests.items():
        path = folder / name
        if not path.exists() or digest_of(path) != digest:
            _logger.error("The file %s of data set %s is not what was kept.", name, place.name)
            return False
    return True


def _touch(place: Path) -> None:
    os.utime(place)
