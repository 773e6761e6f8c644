"""Originals of uploads: the files as clients sent them, so that they can be read again; blocking.

    datasets/<id>/original          hard link to the uploaded file, or a copy
    datasets/<id>/original.json     its name, digest, size, encoding and read options; outlives the file

They lie in the folder of the data set, so that they are deleted with it, and no analysis reads or checks them. Data
sets that were read from the same file share it. They are a cache: those that were used least recently are removed where
they exceed their quota, and where the disk needs the space.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import JsonValue

from cqox import randomness
from cqox.contract.messages import Message
from cqox.encryption import SealBroken
from cqox.errors import NotFound, StoreUnavailable
from cqox.storage.file_operations import link_or_copy, sync
from cqox.storage.sealing import UPLOAD, TenantSealing

__all__ = ["ABOUT", "ORIGINAL", "Original", "Originals"]

ORIGINAL, ABOUT = "original", "original.json"

type _Inode = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The file of an upload.

    Attributes:
        name: the client's name for it.
        digest: BLAKE2b of its bytes, 32 hexadecimal digits.
        size_bytes: its size.
        encoding: of its text, as it was read; None for other formats.
        options: the read options that the client gave.
    """

    name: str
    digest: str
    size_bytes: int
    encoding: str | None
    options: Mapping[str, JsonValue]


@dataclass(slots=True)
class _Shared:
    """One file with the data sets that share it."""

    size_bytes: int
    used_at: float
    places: list[Path]


class Originals:
    """The originals of one volume.

    Args:
        folders: returns the folders of data sets, one for each tenant.
        quota_bytes: the most that they take together; 0 keeps none.

    Attributes:
        quota_bytes: the most that they take together; 0 keeps none.
    """

    def __init__(self, folders: Callable[[], Iterable[Path]], quota_bytes: int) -> None:
        self._folders = folders
        self.quota_bytes = quota_bytes

    def keep(
        self,
        place: Path,
        path: Path,
        original: Original,
        *,
        check_room: Callable[[int], None],
        sealing: TenantSealing,
    ) -> bool:
        """Keep a file as the original of a data set; return whether it is kept.

        Args:
            place: the folder of the data set.
            path: the file, on the same volume.
            original: what it is.
            check_room: raises unless the disk keeps its reserve after a write of a size.
            sealing: encryption at rest.
        """
        try:
            if not self.quota_bytes or original.size_bytes > self.quota_bytes:
                return False
            self._write_about(place, original, sealing)
            check_room(0)
            if not (place / ORIGINAL).exists():
                self._link(place, path, original.size_bytes, check_room, sealing)
                sync(place)
            self.enforce()
        except (OSError, StoreUnavailable):
            # The data set is complete without it.
            return False
        return self.has(place)

    def has(self, place: Path) -> bool:
        """Return whether the original of a data set is kept."""
        return (place / ORIGINAL).exists()

    def about(self, place: Path, sealing: TenantSealing) -> Original | None:
        """Return what the file of a data set was, also where it is gone; None where that was not recorded.

        Raises:
            StoreUnavailable: that is sealed, and its key is not there.
        """
        try:
            return Original(**json.loads(sealing.read_file(place / ABOUT, _context(place))))
        except (OSError, SealBroken, ValueError, TypeError):
            return None

    def link(self, place: Path, view: Path, *, verify: bool, sealing: TenantSealing) -> Original:
        """Link the original of a data set as `view`.

        Args:
            place: the folder of the data set.
            view: path of a file that does not exist yet.
            verify: whether to compare its digest; a damaged one is removed.
            sealing: encryption at rest.

        Raises:
            NotFound: it is not kept, or damaged.
            StoreUnavailable: it is sealed, and its key is not there.
        """
        gone = NotFound(Message("storage.original-gone", dataset=place.name), field="original")
        original = self.about(place, sealing)
        if original is None:
            raise gone
        try:
            _link(place / ORIGINAL, view)
        except FileNotFoundError:
            raise gone from None
        if verify and not _is_intact(view, original, sealing):
            self._remove([place])
            raise gone
        return original

    def enforce(self) -> int:
        """Remove the least recently used originals beyond the quota; return how many were removed."""
        return self._release(lambda size_bytes: size_bytes > self.quota_bytes)

    def release(self, is_lacking: Callable[[int], bool]) -> None:
        """Remove the least recently used originals until the disk lacks no space.

        Args:
            is_lacking: returns whether a number of bytes must still be freed; nothing is removed where all originals
                together do not suffice.
        """
        if not is_lacking(sum(shared.size_bytes for shared in self._all())):
            self._release(lambda _: is_lacking(0))

    def _release(self, goes_on: Callable[[int], bool]) -> int:
        found = sorted(self._all(), key=lambda shared: shared.used_at)
        total, count = sum(shared.size_bytes for shared in found), 0
        for shared in found:
            if not goes_on(total):
                break
            self._remove(shared.places)
            total -= shared.size_bytes
            count += 1
        return count

    def _all(self) -> list[_Shared]:
        found: dict[_Inode, _Shared] = {}
        for place in self._places():
            with suppress(OSError):
                about, used_at = (place / ORIGINAL).stat(), place.stat().st_mtime
                shared = found.setdefault((about.st_dev, about.st_ino), _Shared(about.st_size, used_at, []))
                shared.used_at = max(shared.used_at, used_at)
                shared.places.append(place)
        return list(found.values())

    def _places(self) -> Iterator[Path]:
        for folder in self._folders():
            # A tenant without a data set has none.
            with suppress(FileNotFoundError):
                yield from folder.iterdir()

    def _remove(self, places: list[Path]) -> None:
        for place in places:
            with suppress(OSError):
                used = place.stat()
                (place / ORIGINAL).unlink()
                # The folder's time is when the data set was used, and this is no use of it.
                os.utime(place, ns=(used.st_atime_ns, used.st_mtime_ns))

    def _link(
        self, place: Path, path: Path, size_bytes: int, check_room: Callable[[int], None], sealing: TenantSealing
    ) -> None:
        try:
            if not sealing.is_outdated(path):
                # Before it has its name: the first rows of a torn one would be shown after a power failure.
                sync(path)
                os.link(path, place / ORIGINAL)
                return
        except (FileExistsError, FileNotFoundError):
            # Another engine was faster, or the data set was deleted meanwhile.
            return
        except OSError:
            # A file system without hard links.
            pass
        check_room(size_bytes)
        scratch = place / f".{ORIGINAL}.{randomness.token_hex(6)}"
        try:
            sealing.copy_file(path, scratch, UPLOAD)
            sync(scratch)
            scratch.rename(place / ORIGINAL)
        finally:
            scratch.unlink(missing_ok=True)

    def _write_about(self, place: Path, original: Original, sealing: TenantSealing) -> None:
        scratch = place / f".{ABOUT}.{randomness.token_hex(6)}"
        try:
            text = json.dumps(asdict(original), ensure_ascii=False).encode()
            sealing.write_file(scratch, text, _context(place))
            sync(scratch)
            scratch.rename(place / ABOUT)
        finally:
            scratch.unlink(missing_ok=True)


def _is_intact(view: Path, original: Original, sealing: TenantSealing) -> bool:
    try:
        return sealing.digest(view, UPLOAD) == original.digest
    except SealBroken:
        return False


def _context(place: Path) -> str:
    return f"original/{place.name}"


def _link(path: Path, target: Path) -> None:
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        link_or_copy(path.name, target, handle)
    finally:
        os.close(handle)
