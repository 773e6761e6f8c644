"""Local copies of data sets that are kept in an object store, bounded in bytes; blocking.

    copies/<tenant>/<data set id>/<edition>/    the files of one edition of a data set, which never change

The least recently used are removed first. A reader links the files under names of its own, so that a removal does not
affect it. Concurrent readers of one edition wait for one copy.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from cqox.storage.file_operations import remove, stamp
from cqox.storage.private import private_folder

__all__ = ["LocalCopies"]

_ATTEMPTS = 5
_MOST_VERIFIED = 10_000


class LocalCopies:
    """The copies of one data directory.

    Args:
        root: their folder, created with the first one.
        most_bytes: the most that they take, apart from the one that is read now.
    """

    def __init__(self, root: Path, *, most_bytes: int) -> None:
        self._root = root
        self._most_bytes = most_bytes
        self._guard = Lock()
        self._busy: dict[Path, tuple[Lock, int]] = {}
        self._verified: dict[Path, tuple[tuple[int, int, int], ...]] = {}

    def link(
        self,
        dataset: tuple[str, str],
        edition: str,
        view: Path,
        *,
        scratch: Callable[[], Path],
        fetch: Callable[[Path], None],
        is_intact: Callable[[Path], bool],
    ) -> None:
        """Link the files of an edition into a new folder; fetch them first where there is no intact copy.

        Args:
            dataset: the tenant and the data set.
            edition: the edition.
            view: the new folder.
            scratch: creates an empty folder on the same disk.
            fetch: writes the files into an empty folder, and checks them.
            is_intact: checks the files in a folder.

        Raises:
            OSError: the disk rejects it.
        """
        place = self._place_of(dataset, edition)
        with self._alone(place):
            for attempt in range(_ATTEMPTS):
                if not place.exists():
                    self._fetch(place, scratch(), fetch)
                try:
                    self._link(place, view)
                except FileNotFoundError:
                    # Removed by another process on this disk, which needed the space.
                    remove(view)
                    if attempt == _ATTEMPTS - 1:
                        raise
                    continue
                if self._is_verified(place, view, is_intact):
                    break
                remove(view)
                remove(place)
        self._evict(spared=place)

    def adopt(self, dataset: tuple[str, str], edition: str, folder: Path) -> None:
        """Take over a folder as the copy of an edition; nothing is raised where the disk rejects it."""
        place = self._place_of(dataset, edition)
        with suppress(OSError), self._alone(place):
            self._place(folder, place)
            self._evict(spared=place)

    def forget(self, dataset: tuple[str, str]) -> None:
        """Remove the copies of a data set."""
        remove(self._root.joinpath(*dataset))

    def forget_tenant(self, tenant_id: str) -> None:
        """Remove the copies of a tenant."""
        remove(self._root / tenant_id)

    def retain(self, tenant_id: str, edition_of: Callable[[str], str | None]) -> int:
        """Remove the copies of a tenant that are not of the current edition; return their number.

        Args:
            tenant_id: the tenant.
            edition_of: returns the current edition of a data set, None where it is deleted.
        """
        count = 0
        for dataset in _folders(self._root / tenant_id):
            current = edition_of(dataset.name)
            for edition in _folders(dataset):
                if edition.name != current:
                    self._remove(edition)
                    count += 1
        return count

    def release(self, is_lacking: Callable[[int], bool]) -> None:
        """Remove the least recently used copies until the disk lacks no space.

        Args:
            is_lacking: returns whether a number of bytes must still be freed; nothing is removed where all copies
                together do not suffice.
        """
        found = self._all()
        if is_lacking(sum(size for _, size, _ in found)):
            return
        for _, _, edition in found:
            if not is_lacking(0):
                return
            self._remove(edition)

    def _fetch(self, place: Path, scratch: Path, fetch: Callable[[Path], None]) -> None:
        try:
            fetch(scratch)
            self._place(scratch, place)
        finally:
            remove(scratch)

    def _place(self, folder: Path, place: Path) -> None:
        for parent in (self._root, place.parent.parent, place.parent):
            private_folder(parent, exist_ok=True)
        try:
            folder.rename(place)
        except OSError:
            # Another process on this disk was faster.
            if not place.exists():
                raise

    def _link(self, place: Path, view: Path) -> None:
        private_folder(view)
        for path in sorted(place.iterdir()):
            try:
                os.link(path, view / path.name)
            except FileNotFoundError:
                raise
            except OSError:
                # A file system without hard links.
                shutil.copyfile(path, view / path.name)
        os.utime(place)

    def _is_verified(self, place: Path, view: Path, is_intact: Callable[[Path], bool]) -> bool:
        seen = tuple(stamp(path) for path in sorted(view.iterdir()))
        if self._verified.get(place) == seen:
            return True
        if not is_intact(view):
            return False
        while len(self._verified) >= _MOST_VERIFIED:
            del self._verified[next(iter(self._verified))]
        self._verified[place] = seen
        return True

    def _evict(self, spared: Path) -> None:
        found = self._all()
        total = sum(size for _, size, _ in found)
        for _, size, edition in found:
            if total <= self._most_bytes:
                return
            if edition != spared:
                self._remove(edition)
                total -= size

    def _all(self) -> list[tuple[float, int, Path]]:
        """Return when each copy was last used, and its size, the least recently used one first."""
        found = list[tuple[float, int, Path]]()
        for edition in (each for tenant in _folders(self._root) for each in tenant.glob("*/*")):
            with suppress(OSError):
                size = sum(path.stat().st_size for path in edition.iterdir())
                found.append((edition.stat().st_mtime, size, edition))
        return sorted(found)

    def _remove(self, edition: Path) -> None:
        remove(edition)
        with suppress(OSError):
            # Only where it is empty.
            edition.parent.rmdir()

    def _place_of(self, dataset: tuple[str, str], edition: str) -> Path:
        return self._root.joinpath(*dataset, edition)

    @contextmanager
    def _alone(self, place: Path) -> Iterator[None]:
        """Hold the lock of an edition, so that two readers of it make one copy."""
        with self._guard:
            lock, users = self._busy.get(place, (Lock(), 0))
            self._busy[place] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                _, users = self._busy.pop(place)
                if users > 1:
                    self._busy[place] = lock, users - 1


def _folders(root: Path) -> list[Path]:
    try:
        return list(root.iterdir())
    except FileNotFoundError:
        return []
