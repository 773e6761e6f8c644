"""Originals of uploads in an object store: the files as clients sent them, so that they can be read again; blocking.

    originals/<data set id>/about              name, digest, size, encoding and read options; outlives the file
    originals/<data set id>/kept               written once all of the file is there
    originals/<data set id>/content/<number>   the file in parts

They are a cache: those that were used least recently are removed where they exceed their quota.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from cqox import randomness
from cqox.contract.messages import Message
from cqox.encryption import SealBroken
from cqox.errors import NotFound
from cqox.storage.objects.client import Objects
from cqox.storage.objects.keys import root_of
from cqox.storage.originals import ORIGINAL, Original
from cqox.storage.sealing import UPLOAD, TenantSealing

__all__ = ["OriginalObjects", "enforce"]


class OriginalObjects:
    """The originals of one tenant.

    Args:
        objects: the object store.
        tenant_id: the tenant.
        quota_bytes: the most that those of all tenants take; 0 keeps none.
        sealing: encryption at rest.
    """

    def __init__(self, objects: Objects, tenant_id: str, *, quota_bytes: int, sealing: TenantSealing) -> None:
        self._objects = objects
        self._root = root_of(tenant_id)
        self._quota_bytes = quota_bytes
        self._sealing = sealing

    def keep(self, dataset_id: str, path: Path, original: Original) -> None:
        """Keep a file as the original of a data set, where it is within the quota.

        Raises:
            OSError: the file cannot be read.
        """
        if not self._quota_bytes or original.size_bytes > self._quota_bytes:
            return
        about = json.dumps(asdict(original), ensure_ascii=False).encode()
        self._objects.put(self._key(dataset_id, "about"), self._sealing.seal(about, _context(dataset_id)))
        if self.has(dataset_id):
            return
        sealed = path
        if self._sealing.is_outdated(path):
            # An upload that began before new files were sealed.
            sealed = path.with_name(f"{path.name}.{randomness.token_hex(6)}")
        try:
            if sealed != path:
                self._sealing.copy_file(path, sealed, UPLOAD)
            self._objects.upload(sealed, self._key(dataset_id, "content"))
        finally:
            if sealed != path:
                sealed.unlink(missing_ok=True)
        self._objects.put(self._key(dataset_id, "kept"), b"")

    def has(self, dataset_id: str) -> bool:
        """Return whether the original of a data set is kept."""
        return self._objects.get(self._key(dataset_id, "kept")) is not None

    def about(self, dataset_id: str) -> Original | None:
        """Return what the file of a data set was, also where it is gone; None where that was not recorded."""
        found = self._objects.get(self._key(dataset_id, "about"))
        if found is None:
            return None
        try:
            return Original(**json.loads(self._sealing.open(found[0], _context(dataset_id))))
        except (SealBroken, ValueError, TypeError):
            return None

    def copy(self, dataset_id: str, folder: Path, *, verify: bool) -> Original:
        """Copy the original of a data set into a folder.

        Args:
            dataset_id: the data set.
            folder: an existing folder.
            verify: whether to compare its digest; a damaged one is removed.

        Raises:
            NotFound: it is not kept, or damaged.
        """
        path, original = folder / ORIGINAL, self.about(dataset_id)
        is_there = original is not None and self.has(dataset_id)
        if original is not None and is_there and self._objects.download(self._key(dataset_id, "content"), path):
            if not verify or self._is_intact(path, original):
                return original
            self.remove(dataset_id)
        raise NotFound(Message("storage.original-gone", dataset=dataset_id), field="original")

    def remove(self, dataset_id: str) -> None:
        """Remove the file, and leave what is known about it."""
        self._objects.delete(self._key(dataset_id, "kept"))
        self._objects.delete_below(f"{self._key(dataset_id, 'content')}/")

    def delete(self, dataset_id: str) -> None:
        """Delete everything about the original of a data set."""
        self._objects.delete(self._key(dataset_id, "kept"))
        self._objects.delete_below(f"{self._root}originals/{dataset_id}/")

    def sizes(self) -> list["KeptOriginal"]:
        """Return every original that is kept."""
        sizes, kept = dict[str, int](), dict[str, float]()
        for info in self._objects.list(f"{self._root}originals/"):
            dataset_id, _, name = info.key.removeprefix(f"{self._root}originals/").partition("/")
            if name == "kept":
                kept[dataset_id] = info.modified_at
            elif name.startswith("content/"):
                sizes[dataset_id] = sizes.get(dataset_id, 0) + info.size_bytes
        used = {info.key.rpartition("/")[2]: info.modified_at for info in self._objects.list(f"{self._root}used/")}
        return [
            KeptOriginal(
                originals=self, dataset_id=each, size_bytes=sizes.get(each, 0), used_at=max(at, used.get(each, 0.0))
            )
            for each, at in kept.items()
        ]

    def _is_intact(self, path: Path, original: Original) -> bool:
        try:
            return self._sealing.digest(path, UPLOAD) == original.digest
        except SealBroken:
            return False

    def _key(self, dataset_id: str, name: str) -> str:
        return f"{self._root}originals/{dataset_id}/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOriginal:
    """An original that is kept.

    Attributes:
        originals: those of its tenant.
        dataset_id: its data set.
        size_bytes: its size as it is stored.
        used_at: when its data set was last used, in seconds of the Unix epoch.
    """

    originals: OriginalObjects
    dataset_id: str
    size_bytes: int
    used_at: float


def enforce(tenants: Iterable[OriginalObjects], quota_bytes: int) -> int:
    """Remove the least recently used originals of all tenants beyond a quota; return how many were removed."""
    found = sorted((each for originals in tenants for each in originals.sizes()), key=lambda each: each.used_at)
    total, count = sum(each.size_bytes for each in found), 0
    for each in found:
        if total <= quota_bytes:
            break
        each.originals.remove(each.dataset_id)
        total -= each.size_bytes
        count += 1
    return count


def _context(dataset_id: str) -> str:
    return f"original/{dataset_id}"
