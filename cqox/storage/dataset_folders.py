"""Folders of data sets, each kept, linked and deleted as a whole; blocking.

`cqox.storage.files` calls it in threads, and knows where the folders are.
"""

import errno
import os
from contextlib import suppress
from logging import getLogger
from pathlib import Path

from cqox import randomness
from cqox.contract.messages import Message
from cqox.errors import NotFound
from cqox.storage.ballast import Ballast
from cqox.storage.contracts import DatasetRecord
from cqox.storage.disk import exclusive_lock, is_disk_fault, is_full
from cqox.storage.exchange import complete_exchanges
from cqox.storage.file_operations import link_or_copy, remove, stamp, sync
from cqox.storage.leftovers import Erasures
from cqox.storage.manifest import MANIFEST, digest_of, read_manifest, write_manifest
from cqox.storage.originals import ABOUT, ORIGINAL
from cqox.storage.private import private_folder, tighten_one
from cqox.storage.sealing import TenantSealing

__all__ = ["TABLE", "DatasetFolders", "touch"]

TABLE = "table.parquet"
_MOST_VERIFIED = 10_000
_logger = getLogger("cqox.storage")


class DatasetFolders:
    """Operations on the folders of data sets of one volume.

    Args:
        removed: folder for deleted data sets before their removal.
        owner: unique name of this process among those on the volume.
        ballast: reserve for deletions on a full disk.
        erasures: the data sets whose reports are deleted with them; one that is stored again is none of them.
        sealing: encryption at rest.
    """

    def __init__(
        self, removed: Path, owner: str, *, ballast: Ballast, erasures: Erasures, sealing: TenantSealing
    ) -> None:
        self._removed = removed
        self._owner = owner
        self._ballast = ballast
        self._erasures = erasures
        self._sealing = sealing
        self._verified: dict[str, tuple[tuple[int, int, int], ...]] = {}

    def keep(self, folder: Path, place: Path, record: DatasetRecord, *, replace: bool) -> None:
        """Move a folder into place, after its files are on the disk.

        Args:
            folder: the new files; removed by this call.
            place: the folder of the data set.
            record: the data set, for the manifest.
            replace: whether to replace existing files; otherwise those stay.
        """
        write_manifest(folder, record, self._sealing)
        for path in [*folder.iterdir(), folder]:
            # The worker may have written it under another umask.
            tighten_one(path)
            sync(path)
        self._erasures.end(record.dataset_id)
        if replace:
            self.delete(place)
        try:
            folder.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            self._resolve_conflict(folder, place)
        sync(place.parent)

    def _resolve_conflict(self, folder: Path, place: Path) -> None:
        """Keep the data set in place if its table exists; otherwise replace it with the new one."""
        with exclusive_lock(place.parent):
            # Checked under the lock: another engine may have restored it meanwhile, and that one must stay.
            if (place / TABLE).exists():
                remove(folder)
                return
            _logger.error("The data set %s had lost its %s, and is stored again.", place.name, TABLE)
            self.delete(place)
            try:
                folder.rename(place)
            except OSError:
                # Another engine found the place empty and moved its copy without the lock.
                if not (place / TABLE).exists():
                    raise
                remove(folder)

    def delete(self, place: Path) -> None:
        """Remove the folder of a data set; running readers are not affected."""
        self._verified.pop(place.name, None)
        trash = self._removed / f"{self._owner}-{randomness.token_hex(8)}"
        try:
            self._move(place, trash)
        except OSError as error:
            if not place.exists():
                return
            if not is_full(error) and not isinstance(error, FileNotFoundError):
                raise
            # No space for another folder entry. Without its table the folder no longer counts as a data set.
            (place / TABLE).unlink(missing_ok=True)
            remove(place)
        # A deletion that was reported must survive a power failure.
        sync(place.parent)
        remove(trash)

    def _move(self, place: Path, trash: Path) -> None:
        try:
            place.rename(trash)
        except OSError as error:
            if not is_full(error) or not self._ballast.drop():
                raise
            place.rename(trash)

    def complete(self, folder: Path) -> None:
        """Put data sets in place that a killed process was exchanging for those of before.

        Raises:
            OSError: the disk rejects it.
        """
        with exclusive_lock(folder):
            complete_exchanges(folder)

    def link(self, place: Path, view: Path, *, writable: bool) -> Path:
        """Link the files of a data set into a new folder; return the path of the table there.

        Args:
            place: the folder of the data set.
            view: the new folder.
            writable: whether the volume was writable before. If not, and for a fault of the disk, the path is that in
                place.

        Raises:
            NotFound: the files are missing, or do not match their digests; the latter are removed.
        """
        try:
            self._link(place, view)
        except OSError as error:
            if writable and not is_disk_fault(error):
                raise
            remove(view)
            if not self.is_intact(place, place):
                raise _damaged(place) from error
            return place / TABLE
        return view / TABLE

    def _link(self, place: Path, view: Path) -> None:
        while True:
            # All names are resolved in one open folder, even if another one is moved into its place meanwhile.
            try:
                handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                raise _gone(place) from None
            try:
                self._link_of(handle, place, view)
                break
            except NotFound:
                # What is missing in a folder that lost its place meanwhile, and is removed, is no damage of this one.
                if _is_at(handle, place):
                    raise
                remove(view)
            finally:
                os.close(handle)
        with suppress(OSError):
            touch(place)

    def _link_of(self, handle: int, place: Path, view: Path) -> None:
        try:
            private_folder(view)
            # Neither the original, which may be large, nor files that are being written.
            names = sorted(name for name in os.listdir(handle) if name not in (ORIGINAL, ABOUT) and name[0] != ".")
            if TABLE not in names:
                raise _gone(place)
            for name in names:
                link_or_copy(name, view / name, handle)
        except FileNotFoundError:
            raise _gone(place) from None
        seen = tuple(stamp(view / name) for name in names)
        if self._verified.get(place.name) != seen:
            if not self.is_intact(view, place):
                if _is_at(handle, place):
                    self.delete(place)
                raise _damaged(place)
            while len(self._verified) >= _MOST_VERIFIED:
                del self._verified[next(iter(self._verified))]
            self._verified[place.name] = seen

    def is_intact(self, folder: Path, place: Path) -> bool:
        """Return whether the files in a folder have the digests of its manifest.

        Args:
            folder: the files, in place or linked.
            place: the folder of the data set.

        Raises:
            StoreUnavailable: the manifest is sealed, and its key is not there.
            OSError: a file is there, and cannot be read now.
        """
        manifest = read_manifest(folder, place.name, self._sealing)
        if manifest is None:
            _logger.error("The data set %s has no readable %s.", place.name, MANIFEST)
            return False
        for name, digest in manifest.digests.items():
            if _digest_of(folder / name) != digest:
                _logger.error("The file %s of data set %s does not match its digest.", name, place.name)
                return False
        return True


def _digest_of(path: Path) -> str | None:
    try:
        return digest_of(path)
    except FileNotFoundError:
        return None


def _is_at(handle: int, place: Path) -> bool:
    """Return whether an open folder is the one at a path."""
    try:
        return os.path.samestat(os.fstat(handle), place.stat())
    except FileNotFoundError:
        # There is nothing else to read.
        return True


def _gone(place: Path) -> NotFound:
    return NotFound(Message("storage.files-gone", dataset=place.name))


def _damaged(place: Path) -> NotFound:
    return NotFound(Message("storage.files-damaged", dataset=place.name))


def touch(place: Path) -> None:
    """Record that a data set is used now."""
    os.utime(place)
