"""Data sets of one tenant in an object store; blocking.

    manifests/<id>                             the edition, and the manifest; it is written last and deleted first
    datasets/<id>/<edition>/<file>/<number>    the files, each in parts
    used/<id>                                  when the data set was last used

A data set is there where its manifest is. Each upload of it is an edition with keys of its own, so that what one engine
deletes is never what another one has just written.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from logging import getLogger
from pathlib import Path

from cqox import randomness
from cqox.contract.messages import Message
from cqox.errors import NotFound, StoreUnavailable
from cqox.fault_points import fault_point
from cqox.storage.contracts import DatasetRecord
from cqox.storage.dataset_folders import TABLE
from cqox.storage.manifest import Manifest, digest_of, manifest_of, opened_manifest, sealed_manifest
from cqox.storage.objects.client import Objects
from cqox.storage.objects.copies import LocalCopies
from cqox.storage.objects.keys import root_of
from cqox.storage.sealing import TenantSealing

__all__ = ["EDITION_CHARACTERS", "DatasetObjects"]

EDITION_CHARACTERS = 32
_ATTEMPTS = 5
_logger = getLogger("cqox.storage")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """The manifest of a data set as it is stored now; None in place of one that is damaged."""

    edition: str
    tag: str
    manifest: Manifest | None


class DatasetObjects:
    """The data sets of one tenant.

    Args:
        objects: the object store.
        tenant_id: the tenant.
        copies: copies on this disk.
        sealing: encryption at rest.
        make_room: raises unless the disk keeps its reserve after a copy of a size.
    """

    def __init__(
        self,
        objects: Objects,
        tenant_id: str,
        *,
        copies: LocalCopies,
        sealing: TenantSealing,
        make_room: Callable[[int], None],
    ) -> None:
        self._objects = objects
        self._tenant_id = tenant_id
        self._root = root_of(tenant_id)
        self._make_room = make_room
        self._copies = copies
        self._sealing = sealing

    def keep(self, folder: Path, record: DatasetRecord, *, replace: bool) -> None:
        """Write the files of a folder, and then the manifest that makes them a data set.

        Args:
            folder: the files; it is moved to the copies.
            record: the data set.
            replace: whether to replace existing files; otherwise those stay.
        """
        dataset_id, edition = record.dataset_id, randomness.token_hex(EDITION_CHARACTERS // 2)
        manifest = manifest_of(folder, record)
        try:
            for name in manifest.digests:
                self._objects.upload(folder / name, self._file(dataset_id, edition, name))
            fault_point("objects.uploaded", dataset_id)
            is_current = self._publish(dataset_id, edition, manifest, replace=replace)
        except BaseException:
            with suppress(StoreUnavailable):
                if not self._is_published(dataset_id, edition):
                    self._objects.delete_below(self._edition(dataset_id, edition))
            raise
        if not is_current:
            self._objects.delete_below(self._edition(dataset_id, edition))
            return
        self._objects.put(self._used(dataset_id), b"")
        self._copies.adopt((self._tenant_id, dataset_id), edition, folder)

    def _publish(self, dataset_id: str, edition: str, manifest: Manifest, *, replace: bool) -> bool:
        """Write the manifest; return False if that of another edition stays."""
        content = self._content(edition, manifest)
        for _ in range(_ATTEMPTS):
            found = self._find(dataset_id)
            if found is None:
                if self._objects.put(self._manifest(dataset_id), content, only_new=True):
                    return True
                continue
            if not replace and self._is_there(dataset_id, found):
                return False
            if self._objects.put(self._manifest(dataset_id), content, replaces=found.tag):
                self._objects.delete_below(self._edition(dataset_id, found.edition))
                return True
        raise StoreUnavailable(Message("storage.objects-contended", dataset=dataset_id))

    def _is_there(self, dataset_id: str, found: _Stored) -> bool:
        return bool(self._objects.list(f"{self._file(dataset_id, found.edition, TABLE)}/"))

    def _is_published(self, dataset_id: str, edition: str) -> bool:
        found = self._find(dataset_id)
        return found is not None and found.edition == edition

    def has(self, dataset_id: str) -> bool:
        """Return whether the data set is there."""
        return self._find(dataset_id) is not None

    def find(self, dataset_id: str) -> Manifest | None:
        """Return the manifest of a data set; None if there is none, or it is damaged."""
        found = self._find(dataset_id)
        return None if found is None else found.manifest

    def kept(self) -> Mapping[str, float]:
        """Return the ids of all data sets, and when they were written."""
        found = self._objects.list(f"{self._root}manifests/")
        return {info.key.rpartition("/")[2]: info.modified_at for info in found}

    def used_at(self, dataset_id: str) -> float:
        """Return when the data set was last written or used; 0 if it is not there."""
        written = self._objects.modified_at(self._manifest(dataset_id))
        return max(written, self._objects.modified_at(self._used(dataset_id))) if written else 0.0

    def use(self, dataset_id: str) -> None:
        """Record that the data set is used now."""
        self._objects.put(self._used(dataset_id), b"")

    def forget_copies(self, dataset_id: str) -> None:
        """Remove the copies of a data set on this disk, which was deleted by this engine or another one."""
        self._copies.forget((self._tenant_id, dataset_id))

    def link(self, dataset_id: str, view: Path, *, scratch: Callable[[], Path]) -> Path:
        """Link the files of a data set into a new folder, from a copy on this disk; return the path of the table there.

        Args:
            dataset_id: the data set.
            view: the new folder.
            scratch: creates an empty folder on the same disk.

        Raises:
            NotFound: the files are missing, or do not match their digests; the latter are removed.
        """
        for _ in range(_ATTEMPTS):
            found = self._find(dataset_id)
            if found is None:
                raise NotFound(Message("storage.files-gone", dataset=dataset_id))
            if found.manifest is not None:
                edition = found.edition
                files = self._files_of(dataset_id, edition, found.manifest)
                place = self._tenant_id, dataset_id
                try:
                    self._copies.link(
                        place, edition, view, scratch=scratch, fetch=files.fetch, is_intact=files.is_intact
                    )
                except _Incomplete as error:
                    if self._is_published(dataset_id, edition):
                        _logger.error("The file %s of data set %s is missing or damaged.", error, dataset_id)
                    else:
                        # Replaced or deleted meanwhile.
                        continue
                else:
                    return view / TABLE
            self.delete(dataset_id)
            raise NotFound(Message("storage.files-damaged", dataset=dataset_id))
        raise StoreUnavailable(Message("storage.objects-contended", dataset=dataset_id))

    def is_intact(self, dataset_id: str, scratch: Path) -> bool:
        """Return whether every file of the data set has the digest of its manifest; reads all of them.

        Args:
            dataset_id: the data set.
            scratch: an empty folder.
        """
        found = self._find(dataset_id)
        if found is None or found.manifest is None:
            return False
        edition = found.edition
        try:
            self._files_of(dataset_id, edition, found.manifest).fetch(scratch)
        except _Incomplete as error:
            _logger.error("The file %s of data set %s is missing or damaged.", error, dataset_id)
            return False
        self._copies.adopt((self._tenant_id, dataset_id), edition, scratch)
        return True

    def rename(self, dataset_id: str, name: str) -> None:
        """Replace the name in the manifest; a data set without one is left as it is."""
        for _ in range(_ATTEMPTS):
            found = self._find(dataset_id)
            if found is None or found.manifest is None:
                return
            renamed = replace(found.manifest, record=replace(found.manifest.record, name=name))
            content = self._content(found.edition, renamed)
            if self._objects.put(self._manifest(dataset_id), content, replaces=found.tag):
                return

    def delete(self, dataset_id: str) -> None:
        """Delete a data set with all of its editions; running readers are not affected."""
        # First, so that the data set is whole or gone at any time.
        self._objects.delete(self._manifest(dataset_id))
        self._objects.delete_below(f"{self._root}datasets/{dataset_id}/")
        self._objects.delete(self._used(dataset_id))
        self.forget_copies(dataset_id)

    def _find(self, dataset_id: str) -> _Stored | None:
        found = self._objects.get(self._manifest(dataset_id))
        if found is None:
            return None
        content, tag = found
        edition, stored = content[:EDITION_CHARACTERS].decode("ascii", "replace"), content[EDITION_CHARACTERS:]
        return _Stored(edition=edition, tag=tag, manifest=opened_manifest(stored, dataset_id, self._sealing))

    def _content(self, edition: str, manifest: Manifest) -> bytes:
        return edition.encode() + sealed_manifest(manifest, self._sealing)

    def _files_of(self, dataset_id: str, edition: str, manifest: Manifest) -> "_EditionFiles":
        root = self._edition(dataset_id, edition)
        return _EditionFiles(self._objects, root, manifest, make_room=self._make_room)

    def _manifest(self, dataset_id: str) -> str:
        return f"{self._root}manifests/{dataset_id}"

    def _used(self, dataset_id: str) -> str:
        return f"{self._root}used/{dataset_id}"

    def _edition(self, dataset_id: str, edition: str) -> str:
        return f"{self._root}datasets/{dataset_id}/{edition}/"

    def _file(self, dataset_id: str, edition: str, name: str) -> str:
        return f"{self._edition(dataset_id, edition)}{name}"


class _Incomplete(Exception):
    """A file of an edition is missing or damaged; the argument is its name."""


class _EditionFiles:
    """The files of an edition: they are written into a folder, and checked."""

    def __init__(self, objects: Objects, root: str, manifest: Manifest, *, make_room: Callable[[int], None]) -> None:
        self._objects = objects
        self._root = root
        self._manifest = manifest
        self._make_room = make_room

    def fetch(self, folder: Path) -> None:
        """Write the files into an empty folder.

        Raises:
            _Incomplete: one is missing or damaged.
        """
        self._make_room(sum(info.size_bytes for info in self._objects.list(self._root)))
        for name, digest in self._manifest.digests.items():
            path = folder / name
            if not self._objects.download(f"{self._root}{name}", path) or digest_of(path) != digest:
                raise _Incomplete(name)

    def is_intact(self, folder: Path) -> bool:
        """Return whether a folder has these files, with the digests of the manifest."""
        found = {path.name: digest_of(path) for path in folder.iterdir()}
        return found == dict(self._manifest.digests)
