"""Data directory of an engine: its processes, its free space, and the files of each tenant.

    datasets/, figures/, …              files of the tenant `default` (`cqox.storage.files`)
    tenants/<tenant id>/datasets/, …    files of another tenant, in the same folders
    engines/<owner>                     liveness lock of each process on the volume
    ballast                             reserve for deletions on a full disk

Several engines may share one volume. The leftovers of a killed process carry its name, and the next process to start
removes them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, Lock

from cqox import randomness
from cqox.errors import StorageFull, StoreUnavailable
from cqox.storage.ballast import Ballast
from cqox.storage.disk import unavailable
from cqox.storage.file_operations import remove, sync
from cqox.storage.files import FileStore
from cqox.storage.leftovers import sweep
from cqox.storage.liveness_lock import LivenessLock
from cqox.storage.originals import Originals
from cqox.storage.private import private_folder, tighten, tighten_one
from cqox.storage.room import Room
from cqox.storage.sealing import Sealing
from cqox.storage.tenant_files import TenantFiles
from cqox.storage.tenant_ids import DEFAULT_TENANT, check_tenant_id, is_tenant_id
from cqox.storage.work_folders import OWNED
from cqox.threads import run_in_thread

if TYPE_CHECKING:
    from cqox.storage.objects import ObjectVolume

__all__ = ["DataDirectory"]

_TENANTS = "tenants"
_logger = getLogger("cqox.storage")


class DataDirectory:
    """The data directory of an engine.

    Args:
        root: the folder, created if missing.
        reserve_bytes: space to keep free on its disk; `LEAST_FREE_BYTES` if None.
        originals_bytes: the most space that originals of uploads take, of all tenants together; 0 keeps none.
        sealing: encryption at rest; none by default.
        volume: the object store that keeps the files of tenants; None where this directory does.

    Attributes:
        volume: the object store that keeps the files of tenants; None where this directory does.
        owner: unique name of this process among those on the volume.
        ballast: reserve for deletions on a full disk.
        originals: the originals of uploads.
        room: the free space of the disk.
        reclaiming: lock held while the leftovers of dead processes are reclaimed.
        is_prepared: whether the folders were created; False on a disk that rejects them.

    It opens on a full or read-only disk: existing data can be read and deleted if the disk permits, and missing folders
    are created by `recover`. If the disk is full, read-only or missing, every coroutine that writes raises
    `StoreUnavailable`.
    """

    def __init__(
        self,
        root: Path,
        *,
        reserve_bytes: int | None = None,
        originals_bytes: int = 0,
        sealing: Sealing | None = None,
        volume: "ObjectVolume | None" = None,
    ) -> None:
        self._root = root
        self.volume = volume
        self._sealing = sealing or Sealing()
        self._limiter = CapacityLimiter(8)
        self.reclaiming = Lock()
        self.owner = randomness.token_hex(8)
        self.ballast = Ballast(root)
        self.originals = Originals(lambda: [place / "datasets" for place in self._places()], originals_bytes)
        dispensable = self.originals if volume is None else volume.copies
        self.room = Room(root, reserve_bytes=reserve_bytes, ballast=self.ballast, dispensable=dispensable)
        self._liveness: LivenessLock | None = None
        self._views: dict[str, TenantFiles] = {}
        self.is_prepared = False
        try:
            self.within(DEFAULT_TENANT).prepare()
        except OSError as error:
            _logger.error("The data directory is not writable now, and is used read-only where possible: %s", error)

    def within(self, tenant_id: str) -> TenantFiles:
        """Return the files of one tenant; its folders are created with its first file.

        Raises:
            ValueError: the id can be none of a tenant.
        """
        view = self._views.get(tenant_id)
        if view is None:
            check_tenant_id(tenant_id)
            place = self._root if tenant_id == DEFAULT_TENANT else self._root / _TENANTS / tenant_id
            view = self._views[tenant_id] = self._made(tenant_id, place)
        return view

    def _made(self, tenant_id: str, place: Path) -> TenantFiles:
        sealing = self._sealing.of(tenant_id)
        if self.volume is not None:
            return self.volume.files_of(self, place, sealing, tenant_id=tenant_id)
        return FileStore(self, place, sealing)

    async def tenants(self) -> Sequence[str]:
        """Return the tenants that have files, `default` first; none else where disk or object store is away."""

        def find() -> list[str]:
            return sorted(path.name for path in self._others())

        found = list[str]()
        with suppress(StoreUnavailable):
            # Folders of a tenant hold only its work in progress where its files are in an object store.
            found += await (self.threaded(find) if self.volume is None else self.volume.tenants())
        return list(dict.fromkeys([DEFAULT_TENANT, *found]))

    def close(self) -> None:
        """Leave the volume: remove the temporary files and the liveness lock of this process."""
        self._remove_entries_of(self.owner)
        if self._liveness is not None:
            self._liveness.close()

    def prepare(self) -> None:
        """Create the folder and the liveness lock of this process.

        Raises:
            OSError: the disk rejects them.
        """
        if self.is_prepared:
            return
        private_folder(self._root, parents=True, exist_ok=True)
        tighten_one(self._root.resolve())
        if self._liveness is None:
            self._liveness = LivenessLock(self._root / "engines", self.owner)
        # Flush the folder entries: files in the folders are only as durable as these.
        for folder in (self._root, self._root.parent):
            with suppress(OSError):
                sync(folder)
        self.is_prepared = True

    async def recover(self) -> None:
        """Create the folders and the ballast that the disk rejected so far; remove originals that leave no reserve."""
        with suppress(StoreUnavailable):
            await self.threaded(self._recover)

    async def tighten(self) -> None:
        """Remove the access of other users to files of older versions; a cancellation stops half-way."""
        await run_in_thread(tighten, self._root, limiter=CapacityLimiter(1), abandon_on_cancel=True)

    async def check(self) -> None:
        """Check that files can be written and that space is left.

        Raises:
            StoreUnavailable: they cannot, or free space is below the reserve.
        """
        await self.threaded(self.room.check_disk, self.within(DEFAULT_TENANT).scratch)

    async def check_room(self, wanted_bytes: int = 0) -> None:
        """Check that the disk keeps its reserve after a write of this size; remove originals of uploads for it.

        Raises:
            StorageFull: it does not.
        """
        await self.threaded(self.room.make, wanted_bytes)

    async def sweep(self) -> int:
        """Remove leftovers of unknown processes and of failed deletions; return the number of entries removed."""
        if self._liveness is None:
            # Live processes are not known yet.
            return 0
        known, count = self._liveness.known, 0 if self.volume is None else await self.volume.sweep()
        for place in self._places():
            count += await self.threaded(partial(sweep, place, OWNED, known, own=self.owner))
        return count

    async def enforce_originals(self) -> int:
        """Remove the least recently used originals of uploads beyond their quota; return how many were removed."""
        if self.volume is not None:
            return await self.volume.enforce_originals(self._sealing, self.originals.quota_bytes)
        return await self.threaded(self.originals.enforce)

    async def remove_tenant(self, tenant_id: str) -> None:
        """Remove the folders of a tenant, which must not be `default`; nothing happens where there are none."""
        assert check_tenant_id(tenant_id) != DEFAULT_TENANT
        if self.volume is not None:
            await self.volume.remove_tenant(tenant_id)
        await self.threaded(self._remove_tenant, tenant_id)
        self.forget(tenant_id)

    def forget(self, tenant_id: str) -> None:
        """Expect no folders of a tenant any more, since this engine or another one has removed them."""
        view = self._views.get(tenant_id)
        if view is not None:
            view.forget()
        if self.volume is not None:
            self.volume.copies.forget_tenant(tenant_id)

    def _remove_tenant(self, tenant_id: str) -> None:
        place = self._root / _TENANTS / tenant_id
        # No tenant has a name with a dot, so that a crash leaves nothing that looks like one.
        trash = place.with_name(f".{tenant_id}.erased")
        remove(trash)
        with suppress(FileNotFoundError):
            place.rename(trash)
            sync(place.parent)
        remove(trash)

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

    async def threaded[*Given, T](self, call: Callable[[*Given], T], *given: *Given) -> T:
        """Call a blocking function on files in a thread of this directory.

        Raises:
            StoreUnavailable: the disk is full, read-only or missing.
        """
        try:
            return await run_in_thread(call, *given, limiter=self._limiter)
        except OSError as error:
            raise unavailable(error) from error

    def _recover(self) -> None:
        self.within(DEFAULT_TENANT).prepare()
        self.ballast.restore()
        with suppress(StorageFull):
            self.room.make()

    def _places(self) -> Iterator[Path]:
        """Yield the folder of each tenant."""
        yield self._root
        with suppress(OSError):
            yield from self._others()

    def _others(self) -> Iterator[Path]:
        folder = self._root / _TENANTS
        if folder.exists():
            yield from (path for path in folder.iterdir() if is_tenant_id(path.name) and path.name != DEFAULT_TENANT)

    def _remove_entries_of(self, owner: str) -> None:
        for place in self._places():
            for kind in OWNED:
                for path in (place / kind).glob(f"{owner}*"):
                    remove(path)
