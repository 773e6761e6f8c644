"""Folders on the disk of an engine in which it works for one tenant: what clients send, what it builds and reads.

    uploads/<owner>/              files as clients send them
    incoming/<owner>-<random>/    data sets under construction
    reading/<owner>-<random>/     hard links to a data set while an analysis reads it
    removed/<owner>-<random>/     deleted data sets before their removal

Their entries are named for their process, so that those of a killed one are found and removed.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from anyio import CancelScope

from cqox import randomness
from cqox.contract.messages import Message
from cqox.encryption import SealBroken
from cqox.errors import StoreUnavailable
from cqox.storage.disk import unavailable
from cqox.storage.file_operations import remove, sync
from cqox.storage.private import private_folder, tighten_one
from cqox.storage.readable import Readable, table_context
from cqox.storage.sealing import UPLOAD, FileKeys, TenantSealing, Writer
from cqox.threads import run_in_thread

if TYPE_CHECKING:
    from cqox.storage.data_directory import DataDirectory

__all__ = ["OWNED", "WorkFolders"]

OWNED = ("incoming", "reading", "removed", "uploads")
"""Folders whose entries are named for their process."""


class WorkFolders:
    """The folders in which an engine works for one tenant.

    Args:
        directory: the data directory, which knows disk and processes.
        root: the folder of the tenant in it.
        sealing: encryption at rest for the tenant.
        folders: further folders that exist from its first file on.

    Attributes:
        directory: the data directory.
        owner: unique name of this process among those on the volume.
        room: the free space of the disk.
        sealing: encryption at rest.

    If the disk is full, read-only or missing, every coroutine that writes raises `StoreUnavailable`.
    """

    def __init__(
        self, directory: "DataDirectory", root: Path, sealing: TenantSealing, *, folders: tuple[str, ...] = ()
    ) -> None:
        self.directory = directory
        self._root = root
        self.sealing = sealing
        self.owner = directory.owner
        self.room = directory.room
        self._names = (*folders, *OWNED)
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

    async def drop(self, folder: Path) -> None:
        """Remove an incoming folder and its content, also when the caller is cancelled."""
        with CancelScope(shield=True):
            await self.threaded(remove, folder)

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
        named = [self._root / name for name in self._names]
        for folder in (self._root.parent, self._root, *named, self._scratch):
            private_folder(folder, exist_ok=True)
        for folder in named:
            tighten_one(folder)
        self._complete()
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

    def _new(self, kind: str) -> Path:
        return self._root / kind / f"{self.owner}-{randomness.token_hex(8)}"

    def _complete(self) -> None:
        """Complete what a killed process has left half-done; called once the folders are there."""
