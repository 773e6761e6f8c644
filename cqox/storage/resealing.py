"""Files of a data set that are encrypted otherwise: written next to the old ones, and exchanged in one step."""

import os
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from cqox.contract.messages import Message
from cqox.encryption import SealBroken
from cqox.errors import NotFound, StoreUnavailable
from cqox.storage.disk import exclusive_lock
from cqox.storage.exchange import exchange
from cqox.storage.file_operations import stamp, sync
from cqox.storage.files import FileStore
from cqox.storage.manifest import MANIFEST, digest_of, read_manifest, replace_manifest
from cqox.storage.originals import ABOUT, ORIGINAL
from cqox.storage.readable import table_context
from cqox.storage.sealing import UPLOAD, TenantSealing
from cqox.storage.tenant_files import TenantFiles

__all__ = [
    "FileResealing",
    "FormerOriginals",
    "Resealing",
    "copy_resealed",
    "is_current",
    "reseal_dataset",
    "reseal_figures",
    "resealing_of",
]

type FormerOriginals = MutableMapping[tuple[int, int], Path]
"""Device and inode of each original that was written again, with the new file; data sets share originals."""

_HEAD_BYTES = 4096


class Resealing(Protocol):
    """Resealing of the files of one tenant, while engines read and write them."""

    async def dataset(self, dataset_id: str) -> bool:
        """Write the files of a data set as they would be written now; return False if they are so already.

        A reader sees the old files or the new ones. What an engine changes meanwhile is not lost: the files stay as
        they are then, and another call is needed.

        Raises:
            StoreUnavailable: the disk or the store is full or away, a key is not there, something is damaged, or the
                files changed meanwhile.
            NotFound: there are no such files.
        """
        ...

    async def figures(self) -> int:
        """Remove rendered figures that would be written otherwise now; return the number of analyses.

        The next request renders them again.
        """
        ...

    async def end(self) -> None:
        """Remove what is left of former files."""
        ...


class FileResealing:
    """Resealing of the files of one tenant in a data directory; see `Resealing`.

    Args:
        files: the files of the tenant.
    """

    def __init__(self, files: FileStore) -> None:
        self._files = files
        self._originals: FormerOriginals = {}

    async def dataset(self, dataset_id: str) -> bool:
        """See `Resealing`."""
        return await reseal_dataset(self._files, dataset_id, self._originals)

    async def figures(self) -> int:
        """See `Resealing`."""
        return await reseal_figures(self._files)

    async def end(self) -> None:
        """See `Resealing`; the exchange has left nothing."""


def resealing_of(files: TenantFiles) -> Resealing:
    """Return the resealing of the files of one tenant."""
    if isinstance(files, FileStore):
        return FileResealing(files)
    # Not needed without an object store, and it takes functions from here.
    from cqox.storage.objects.files import ObjectFiles
    from cqox.storage.objects.resealing import ObjectResealing

    assert isinstance(files, ObjectFiles)
    return ObjectResealing(files)


async def reseal_dataset(files: FileStore, dataset_id: str, originals: FormerOriginals) -> bool:
    """Write the files of a data set as they would be written now; return False if they are so already.

    A reader sees the old files or the new ones. What an engine changes meanwhile is not lost: the files stay as they
    are then, and another call is needed.

    Args:
        files: the files of the tenant.
        dataset_id: the data set.
        originals: those that were written again before; this call adds to them.

    Raises:
        StoreUnavailable: the disk is full, a key is not there, or the files changed meanwhile.
        NotFound: there are no such files.
    """
    place = files.folder_of(dataset_id)
    if not await files.threaded(_is_outdated, place, files.sealing):
        return False
    folder = files.incoming()
    try:
        size_bytes = await files.threaded(_known, _size_of, place)
        await files.check_room(size_bytes)
        await files.threaded(_known, partial(_reseal, folder=folder, sealing=files.sealing, originals=originals), place)
    finally:
        # The old files, or new ones that came to nothing.
        await files.drop(folder)
    return True


async def reseal_figures(files: FileStore) -> int:
    """Remove rendered figures that would be written otherwise now; return the number of analyses.

    The next request renders them again.
    """
    count = 0
    for analysis_id in await files.drawn():
        if await files.threaded(_is_outdated, files.figure(analysis_id, "x", "svg").parent, files.sealing):
            await files.erase(analysis_id)
            count += 1
    return count


def _known[T](work: Callable[[Path], T], place: Path) -> T:
    """Call work on the folder of a data set; say what became of that where a file is missing."""
    try:
        return work(place)
    except FileNotFoundError:
        if not place.exists():
            raise NotFound(Message("storage.files-gone", dataset=place.name)) from None
        raise StoreUnavailable(Message("encryption.changed-meanwhile", dataset=place.name)) from None


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _is_outdated(folder: Path, sealing: TenantSealing) -> bool:
    try:
        return not all(is_current(_head(path), sealing) for path in _whole(folder))
    except FileNotFoundError:
        return False


def is_current(head: bytes, sealing: TenantSealing) -> bool:
    """Return whether stored bytes are as they would be written now; damaged ones are not.

    Args:
        head: the first few KiB.
        sealing: encryption at rest.
    """
    try:
        return sealing.is_current(head)
    except SealBroken:
        return False


def _reseal(place: Path, folder: Path, sealing: TenantSealing, originals: FormerOriginals) -> None:
    before, used = {path.name: stamp(path) for path in _whole(place)}, place.stat()
    manifest = read_manifest(place, place.name, sealing)
    if manifest is None or any(digest_of(place / name) != digest for name, digest in manifest.digests.items()):
        raise StoreUnavailable(Message("encryption.seal-broken", what=f"data set {place.name}"))
    fresh: dict[tuple[int, int], Path] = {}
    for name in before:
        if name == MANIFEST:
            continue
        source, target = place / name, folder / name
        if name == ORIGINAL:
            _reseal_original(source, target, sealing, originals, fresh)
        else:
            copy_resealed(source, target, _context(place.name, name), sealing)
        about = source.stat()
        os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))
        sync(target)
    digests = {name: digest_of(folder / name) for name in manifest.digests}
    replace_manifest(folder, replace(manifest, digests=digests), sealing)
    sync(folder / MANIFEST)
    os.utime(folder, ns=(used.st_atime_ns, used.st_mtime_ns))
    sync(folder)
    with exclusive_lock(place.parent):
        if {path.name: stamp(path) for path in _whole(place)} != before:
            raise StoreUnavailable(Message("encryption.changed-meanwhile", dataset=place.name))
        exchange(folder, place)
        sync(place.parent)
    originals.update(fresh)


def _reseal_original(
    source: Path,
    target: Path,
    sealing: TenantSealing,
    originals: FormerOriginals,
    fresh: MutableMapping[tuple[int, int], Path],
) -> None:
    about = source.stat()
    inode = (about.st_dev, about.st_ino)
    try:
        os.link(originals[inode], target)
    except (KeyError, OSError):
        copy_resealed(source, target, UPLOAD, sealing)
    fresh[inode] = source


def copy_resealed(source: Path, target: Path, context: str, sealing: TenantSealing) -> None:
    """Copy a file to a new one as it would be written now; blocking.

    Raises:
        StoreUnavailable: it is damaged, or its key is not there.
        OSError: the disk rejects it.
    """
    try:
        sealing.copy_file(source, target, context)
    except SealBroken as error:
        raise StoreUnavailable(Message("encryption.seal-broken", what=f"file {source.name}")) from error


def _context(dataset_id: str, name: str) -> str:
    return f"original/{dataset_id}" if name == ABOUT else f"{table_context(dataset_id)}/{name}"


def _whole(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)
