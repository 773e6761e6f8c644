"""Files of one tenant in an object store; the disk of the engine holds what is being read and written."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cqox.errors import StoreUnavailable
from cqox.storage.contracts import DatasetRecord
from cqox.storage.dataset_folders import TABLE
from cqox.storage.disk import unavailable
from cqox.storage.figure_files import checked_part
from cqox.storage.file_operations import remove
from cqox.storage.objects.datasets import DatasetObjects
from cqox.storage.objects.figures import FigureObjects
from cqox.storage.objects.keys import root_of
from cqox.storage.objects.originals import OriginalObjects
from cqox.storage.objects.uploads import ObjectUploads
from cqox.storage.originals import ORIGINAL, Original
from cqox.storage.private import private_folder
from cqox.storage.readable import Readable, table_context
from cqox.storage.sealing import TenantSealing
from cqox.storage.tenant_files import TenantFiles
from cqox.threads import run_in_thread

if TYPE_CHECKING:
    from cqox.storage.data_directory import DataDirectory
    from cqox.storage.objects.volume import ObjectVolume

__all__ = ["ObjectFiles"]


class ObjectFiles(TenantFiles):
    """The files of one tenant in an object store; see `TenantFiles` for the methods.

    Args:
        directory: the data directory of this engine.
        root: the folder of the tenant in it.
        sealing: encryption at rest for the tenant.
        volume: the object store.
        tenant_id: the tenant.
    """

    def __init__(
        self, directory: "DataDirectory", root: Path, sealing: TenantSealing, *, volume: "ObjectVolume", tenant_id: str
    ) -> None:
        super().__init__(directory, root, sealing)
        self._volume = volume
        self._tenant_id = tenant_id
        objects = volume.objects
        self.partial = ObjectUploads(objects, tenant_id, sealing)
        self._figures = FigureObjects(objects, tenant_id, sealing)
        self._originals = OriginalObjects(
            objects, tenant_id, quota_bytes=directory.originals.quota_bytes, sealing=sealing
        )
        self._datasets = DatasetObjects(
            objects, tenant_id, copies=volume.copies, sealing=sealing, make_room=directory.room.make
        )

    async def threaded[*Given, T](self, call: Callable[[*Given], T], *given: *Given) -> T:
        """Call a blocking function on files in a thread of this store, once the object store is known to be fit.

        Raises:
            StoreUnavailable: the disk or the object store rejects it.
        """

        def checked() -> T:
            self._volume.ready()
            return call(*given)

        try:
            return await run_in_thread(checked, limiter=self._volume.limiter)
        except OSError as error:
            raise unavailable(error) from error

    async def drop(self, folder: Path) -> None:
        """See `WorkFolders`; the object store has no part in it."""
        from anyio import CancelScope

        with CancelScope(shield=True):
            await self.directory.threaded(remove, folder)

    async def keep(self, folder: Path, record: DatasetRecord, *, replace: bool = False) -> None:
        """See `TenantFiles`."""
        dataset_id = checked_part(record.dataset_id)

        def keep() -> None:
            self._datasets.keep(folder, record, replace=replace)
            self._volume.marks.end(self._tenant_id, dataset_id)

        try:
            await self.threaded(keep)
        finally:
            await self.drop(folder)

    async def has(self, dataset_id: str) -> bool:
        """See `TenantFiles`."""
        return await self.threaded(self._datasets.has, checked_part(dataset_id))

    async def record(self, dataset_id: str) -> DatasetRecord | None:
        """See `TenantFiles`."""
        manifest = await self.threaded(self._datasets.find, checked_part(dataset_id))
        return None if manifest is None else manifest.record

    @asynccontextmanager
    async def reading(self, dataset_id: str) -> AsyncIterator[Readable]:
        """See `TenantFiles`."""
        checked_part(dataset_id)
        self._ready()
        view = self._new("reading")
        try:
            yield await self.threaded(self._link_table, dataset_id, view)
        finally:
            await self.drop(view)

    def _link_table(self, dataset_id: str, view: Path) -> Readable:
        path = self._datasets.link(dataset_id, view, scratch=self.incoming)
        # The table with what describes it.
        files = {each: f"{table_context(dataset_id)}/{each.name}" for each in view.glob(f"{TABLE}*")}
        return Readable(path=path, keys=self.sealing.keys_of(files))

    async def keep_original(self, dataset_id: str, path: Path, original: Original) -> None:
        """See `TenantFiles`."""
        with suppress(StoreUnavailable):
            await self.threaded(self._originals.keep, checked_part(dataset_id), path, original)

    async def original(self, dataset_id: str) -> tuple[Original | None, bool]:
        """See `TenantFiles`."""
        originals, name = self._originals, checked_part(dataset_id)
        return await self.threaded(lambda: (originals.about(name), originals.has(name)))

    @asynccontextmanager
    async def reading_original(self, dataset_id: str, *, verify: bool) -> AsyncIterator[tuple[Original, Path]]:
        """See `TenantFiles`."""
        name = checked_part(dataset_id)
        self._ready()
        view = self._new("reading")

        def copy() -> Original:
            private_folder(view)
            original = self._originals.copy(name, view, verify=verify)
            self._datasets.use(name)
            return original

        try:
            yield await self.threaded(copy), view / ORIGINAL
        finally:
            await self.drop(view)

    async def delete(self, dataset_id: str) -> None:
        """See `TenantFiles`."""
        name = checked_part(dataset_id)

        def delete() -> None:
            self._datasets.delete(name)
            self._originals.delete(name)

        await self.threaded(delete)

    async def kept(self) -> Mapping[str, float]:
        """See `TenantFiles`."""
        return await self.threaded(self._datasets.kept)

    async def used_at(self, dataset_id: str) -> float:
        """See `TenantFiles`."""
        return await self.threaded(self._datasets.used_at, checked_part(dataset_id))

    async def use(self, dataset_id: str) -> None:
        """See `TenantFiles`."""
        with suppress(StoreUnavailable):
            await self.threaded(self._datasets.use, checked_part(dataset_id))

    async def rename(self, dataset_id: str, name: str) -> None:
        """See `TenantFiles`."""
        with suppress(StoreUnavailable):
            await self.threaded(self._datasets.rename, checked_part(dataset_id), name)

    async def begin_erasure(self, dataset_id: str) -> None:
        """See `TenantFiles`."""
        with suppress(StoreUnavailable):
            await self.threaded(self._volume.marks.begin, self._tenant_id, checked_part(dataset_id))

    async def erased(self) -> Mapping[str, float]:
        """See `TenantFiles`; copies of these data sets on this disk are removed."""

        def find() -> Mapping[str, float]:
            found = self._volume.marks.all(self._tenant_id)
            for dataset_id in found:
                self._datasets.forget_copies(dataset_id)
            return found

        return await self.threaded(find)

    async def end_erasure(self, dataset_id: str) -> None:
        """See `TenantFiles`."""
        with suppress(StoreUnavailable):
            await self.threaded(self._volume.marks.end, self._tenant_id, checked_part(dataset_id))

    async def digests(self, dataset_id: str) -> Mapping[str, str]:
        """See `TenantFiles`."""
        name = checked_part(dataset_id)

        def find() -> dict[str, str]:
            manifest, original = self._datasets.find(name), self._originals.about(name)
            found = {} if manifest is None else dict(manifest.digests)
            return found if original is None else found | {ORIGINAL: original.digest}

        return await self.threaded(find)

    async def is_intact(self, dataset_id: str) -> bool:
        """See `TenantFiles`."""
        scratch = self.incoming()
        try:
            return await self.threaded(partial(self._datasets.is_intact, checked_part(dataset_id), scratch))
        finally:
            await self.drop(scratch)

    async def reseal(self, dataset_id: str) -> bool:
        """Write a data set and its original as they would be written now; return False if they are so already.

        A reader sees the old objects or the new ones.

        Raises:
            StoreUnavailable: the disk is full, a key is not there, something is damaged, or was replaced meanwhile.
            NotFound: the data set was deleted meanwhile.
        """
        name = checked_part(dataset_id)
        is_done = await self._resealed(self._datasets, name)
        return await self._resealed(self._originals, name) or is_done

    async def _resealed(self, part: DatasetObjects | OriginalObjects, dataset_id: str) -> bool:
        if await self.threaded(part.is_current, dataset_id):
            return False
        source, target = self.incoming(), self.incoming()
        try:
            await self.threaded(part.reseal, dataset_id, source, target)
        finally:
            await self.drop(source)
            await self.drop(target)
        return True

    async def outdated_figures(self) -> Sequence[str]:
        """Return the ids of the analyses with a rendered figure that would be written otherwise now."""
        return await self.threaded(self._figures.outdated)

    async def drop_former_versions(self) -> None:
        """Delete what a bucket that keeps versions has kept of replaced objects of this tenant."""
        await self.threaded(self._volume.objects.delete_former, root_of(self._tenant_id))

    async def drawn(self) -> Mapping[str, float]:
        """See `TenantFiles`."""
        return await self.threaded(self._figures.drawn)

    async def erase(self, analysis_id: str) -> None:
        """See `TenantFiles`."""
        await self.threaded(self._figures.erase, checked_part(analysis_id))

    def figure(self, analysis_id: str, name: str, suffix: str) -> Path:
        """See `TenantFiles`."""
        return Path("figures", checked_part(analysis_id), f"{checked_part(name)}.{checked_part(suffix)}")

    async def read_figure(self, path: Path) -> bytes | None:
        """See `TenantFiles`."""
        return await self.threaded(self._figures.read, path)

    async def write_figure(self, path: Path, content: bytes) -> None:
        """See `TenantFiles`."""
        await self.threaded(self._figures.write, path, content)

    async def count_figures(self, analysis_id: str) -> int:
        """See `TenantFiles`."""
        return await self.threaded(self._figures.count, checked_part(analysis_id))
