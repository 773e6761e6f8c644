"""Originals of uploads in an object store: the files as clients sent them, so that they can be read again; blocking.

    originals/<data set id>/about                        name, digest, size, encoding, options; outlives the file
    originals/<data set id>/kept                         the edition; written once all of its file is there
    originals/<data set id>/content/<edition>/<number>   the file in parts

They are a cache: those that were used least recently are removed where they exceed their quota.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from cqox import randomness
from cqox.contract.messages import Message
from cqox.encryption import SealBroken
from cqox.errors import NotFound, StoreUnavailable
from cqox.storage.objects.client import Objects
from cqox.storage.objects.editions import EDITION_CHARACTERS
from cqox.storage.objects.keys import root_of
from cqox.storage.originals import ORIGINAL, Original
from cqox.storage.resealing import copy_resealed, is_current
from cqox.storage.sealing import UPLOAD, TenantSealing

__all__ = ["OriginalObjects", "enforce"]

_ATTEMPTS = 5


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
            self._upload(dataset_id, sealed, replaces=None)
        finally:
            if sealed != path:
                sealed.unlink(missing_ok=True)

    def _upload(self, dataset_id: str, path: Path, *, replaces: str | None) -> bool:
        """Write a file as a new edition; return False if another one is there, or not the one that it replaces."""
        edition = randomness.token_hex(EDITION_CHARACTERS // 2)
        try:
            self._objects.upload(path, self._content(dataset_id, edition))
            kept = self._key(dataset_id, "kept")
            if self._objects.put(kept, edition.encode(), only_new=replaces is None, replaces=replaces):
                return True
        except BaseException:
            with suppress(StoreUnavailable):
                if self._edition(dataset_id) != edition:
                    self._objects.delete_below(f"{self._content(dataset_id, edition)}/")
            raise
        self._objects.delete_below(f"{self._content(dataset_id, edition)}/")
        return False

    def has(self, dataset_id: str) -> bool:
        """Return whether the original of a data set is kept."""
        return self._edition(dataset_id) is not None

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
        original = self.about(dataset_id)
        if original is not None and self._fetch(dataset_id, folder / ORIGINAL) is not None:
            if not verify or self._is_intact(folder / ORIGINAL, original):
                return original
            self.remove(dataset_id)
        raise NotFound(Message("storage.original-gone", dataset=dataset_id), field="original")

    def _fetch(self, dataset_id: str, path: Path) -> tuple[bytes, str] | None:
        """Write the file to a new one; return what `kept` holds, with its entity tag, or None where it is not kept."""
        for _ in range(_ATTEMPTS):
            kept = self._objects.get(self._key(dataset_id, "kept"))
            if kept is None:
                return None
            is_whole = self._objects.download(self._content(dataset_id, kept[0].decode("ascii", "replace")), path)
            # A replaced edition may have been half deleted already when its parts were listed.
            if self._objects.get(self._key(dataset_id, "kept")) == kept:
                return kept if is_whole else None
            path.unlink()
        raise StoreUnavailable(Message("storage.objects-contended", dataset=dataset_id))

    def remove(self, dataset_id: str) -> None:
        """Remove the file, and leave what is known about it."""
        edition = self._edition(dataset_id)
        self._objects.delete(self._key(dataset_id, "kept"))
        if edition is not None:
            self._objects.delete_below(f"{self._content(dataset_id, edition)}/")

    def is_current(self, dataset_id: str) -> bool:
        """Return whether an original is as it would be written now; so is one that is not kept."""
        about, edition = self._objects.get(self._key(dataset_id, "about")), self._edition(dataset_id)
        heads = () if edition is None else self._objects.heads(f"{self._content(dataset_id, edition)}/")
        return (about is None or is_current(about[0], self._sealing)) and all(
            is_current(head, self._sealing) for head in heads
        )

    def reseal(self, dataset_id: str, source: Path, target: Path) -> None:
        """Write an original as it would be written now, as a new edition, and delete the former one.

        Args:
            dataset_id: the data set.
            source: an empty folder for the file as it is.
            target: an empty folder for the new one.

        Raises:
            StoreUnavailable: it is damaged, its key is not there, or it was replaced meanwhile; it stays as it is.
        """
        key = self._key(dataset_id, "about")
        about = self._objects.get(key)
        if about is not None and not is_current(about[0], self._sealing):
            try:
                plain = self._sealing.open(about[0], _context(dataset_id))
            except SealBroken as error:
                what = f"original of data set {dataset_id}"
                raise StoreUnavailable(Message("encryption.seal-broken", what=what)) from error
            if not self._objects.put(key, self._sealing.seal(plain, _context(dataset_id)), replaces=about[1]):
                raise StoreUnavailable(Message("encryption.changed-meanwhile", dataset=dataset_id))
        kept = self._fetch(dataset_id, source / ORIGINAL)
        if kept is None:
            return
        copy_resealed(source / ORIGINAL, target / ORIGINAL, UPLOAD, self._sealing)
        if not self._upload(dataset_id, target / ORIGINAL, replaces=kept[1]):
            raise StoreUnavailable(Message("encryption.changed-meanwhile", dataset=dataset_id))
        self._objects.delete_below(f"{self._content(dataset_id, kept[0].decode('ascii', 'replace'))}/")

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

    def _edition(self, dataset_id: str) -> str | None:
        kept = self._objects.get(self._key(dataset_id, "kept"))
        return None if kept is None else kept[0].decode("ascii", "replace")

    def _content(self, dataset_id: str, edition: str) -> str:
        return self._key(dataset_id, f"content/{edition}")

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
