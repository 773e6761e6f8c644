"""Data sets of one tenant in an object store; blocking.

    manifests/<id>                             the edition, and the manifest; it is written last and deleted first
    datasets/<id>/<edition>/<file>/<number>    the files, each in parts
    used/<id>                                  when the data set was last used (`cqox.storage.objects.uses`)

A data set is there where its manifest is. Each upload of it is an edition with keys of its own, so that what one engine
deletes is never what another one has just written.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from logging import getLogger
from pathlib import Path

from cqox import randomness
from cqox.contract.messages import Message
from cqox.errors import NotFound, StoreUnavailable
from cqox.fault_points import fault_point
from cqox.storage.contracts import DatasetRecord
from cqox.storage.dataset_folders import TABLE
from cqox.storage.manifest import Manifest, manifest_of, opened_manifest, sealed_manifest
from cqox.storage.objects.client import Objects
from cqox.storage.objects.copies import LocalCopies
from cqox.storage.objects.editions import EDITION_CHARACTERS, EditionFiles, Incomplete
from cqox.storage.objects.keys import root_of
from cqox.storage.objects.uses import UseTimes
from cqox.storage.readable import table_context
from cqox.storage.resealing import copy_resealed, is_current
from cqox.storage.sealing import TenantSealing

__all__ = ["DatasetObjects"]

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
        self._uses = UseTimes(objects, self._root)

    def keep(self, folder: Path, record: DatasetRecord, *, replace: bool) -> None:
        """Write the files of a folder, and then the manifest that makes them a data set.

        Args:
            folder: the files; it is moved to the copies.
            record: the data set.
            replace: whether to replace existing files; otherwise those stay.
        """
        dataset_id = record.dataset_id
        manifest = manifest_of(folder, record)
        with self._new_edition(dataset_id) as edition:
            self._upload(folder, edition, manifest)
            is_current = self._publish(dataset_id, edition, manifest, replace=replace)
        if not is_current:
            self._objects.delete_below(self._edition(dataset_id, edition))
            return
        self._uses.record(dataset_id)
        self._copies.adopt((self._tenant_id, dataset_id), edition, folder)

    @contextmanager
    def _new_edition(self, dataset_id: str) -> Iterator[str]:
        """Yield the name of a new edition, whose objects are deleted where the block fails before it is current."""
        edition = randomness.token_hex(EDITION_CHARACTERS // 2)
        try:
            yield edition
        except BaseException:
            with suppress(StoreUnavailable):
                if not self._is_published(dataset_id, edition):
                    self._objects.delete_below(self._edition(dataset_id, edition))
            raise

    def _upload(self, folder: Path, edition: str, manifest: Manifest) -> None:
        dataset_id = manifest.record.dataset_id
        for name in manifest.digests:
            self._objects.upload(folder / name, self._file(dataset_id, edition, name))
        fault_point("objects.uploaded", dataset_id)

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
        return self._uses.last(dataset_id)

    def use(self, dataset_id: str) -> None:
        """Record that the data set is used now."""
        self._uses.record(dataset_id)

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
                except Incomplete as error:
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
        for _ in range(_ATTEMPTS):
            found = self._find(dataset_id)
            if found is None or found.manifest is None:
                return False
            edition = found.edition
            try:
                self._files_of(dataset_id, edition, found.manifest).fetch(scratch)
            except Incomplete as error:
                if self._is_published(dataset_id, edition):
                    _logger.error("The file %s of data set %s is missing or damaged.", error, dataset_id)
                    return False
                # Replaced or deleted meanwhile.
                for path in scratch.iterdir():
                    path.unlink()
            else:
                self._copies.adopt((self._tenant_id, dataset_id), edition, scratch)
                return True
        raise StoreUnavailable(Message("storage.objects-contended", dataset=dataset_id))

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

    def is_current(self, dataset_id: str) -> bool:
        """Return whether a data set is as it would be written now: sealed under the newest key, or plain.

        One that is not there is.
        """
        found = self._objects.get(self._manifest(dataset_id))
        if found is None:
            return True
        edition, sealed = found[0][:EDITION_CHARACTERS].decode("ascii", "replace"), found[0][EDITION_CHARACTERS:]
        return is_current(sealed, self._sealing) and all(
            is_current(head, self._sealing) for head in self._objects.heads(self._edition(dataset_id, edition))
        )

    def reseal(self, dataset_id: str, source: Path, target: Path) -> None:
        """Write a data set as it would be written now, as a new edition, and delete the former one.

        Who reads it meanwhile gets one of the two. A new name that it gets meanwhile is not lost.

        Args:
            dataset_id: the data set.
            source: an empty folder for the files as they are.
            target: an empty folder for the new ones.

        Raises:
            NotFound: it is not there any more.
            StoreUnavailable: it is damaged, its key is not there, or it was replaced meanwhile; it stays as it is.
        """
        former = self._find(dataset_id)
        if former is None or former.manifest is None:
            raise self._not_resealed(dataset_id, former)
        try:
            self._files_of(dataset_id, former.edition, former.manifest).fetch(source)
        except Incomplete:
            raise self._not_resealed(dataset_id, former) from None
        self._make_room(sum(path.stat().st_size for path in source.iterdir()))
        for name in former.manifest.digests:
            copy_resealed(source / name, target / name, f"{table_context(dataset_id)}/{name}", self._sealing)
        manifest = manifest_of(target, former.manifest.record)
        with self._new_edition(dataset_id) as edition:
            self._upload(target, edition, manifest)
            self._uses.carry_over(dataset_id, edition)
            self._exchange(dataset_id, edition, manifest, former)
        self._objects.delete_below(self._edition(dataset_id, former.edition))

    def _exchange(self, dataset_id: str, edition: str, manifest: Manifest, former: _Stored) -> None:
        """Write the manifest in the place of one of a former edition."""
        found: _Stored | None = former
        for _ in range(_ATTEMPTS):
            if found is None or found.manifest is None or found.edition != former.edition:
                raise self._not_resealed(dataset_id, former)
            content = self._content(edition, replace(manifest, record=found.manifest.record))
            if self._objects.put(self._manifest(dataset_id), content, replaces=found.tag):
                return
            found = self._find(dataset_id)
        raise StoreUnavailable(Message("storage.objects-contended", dataset=dataset_id))

    def _not_resealed(self, dataset_id: str, former: _Stored | None) -> NotFound | StoreUnavailable:
        """Return why a data set stays as it is."""
        found = self._find(dataset_id)
        if found is None:
            return NotFound(Message("storage.files-gone", dataset=dataset_id))
        if former is None or found.edition != former.edition:
            return StoreUnavailable(Message("encryption.changed-meanwhile", dataset=dataset_id))
        return StoreUnavailable(Message("encryption.seal-broken", what=f"data set {dataset_id}"))

    def delete(self, dataset_id: str) -> None:
        """Delete a data set with all of its editions; running readers are not affected."""
        # First, so that the data set is whole or gone at any time.
        self._objects.delete(self._manifest(dataset_id))
        self._objects.delete_below(f"{self._root}datasets/{dataset_id}/")
        self._uses.forget(dataset_id)
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

    def _files_of(self, dataset_id: str, edition: str, manifest: Manifest) -> EditionFiles:
        root = self._edition(dataset_id, edition)
        return EditionFiles(self._objects, root, manifest, make_room=self._make_room)

    def _manifest(self, dataset_id: str) -> str:
        return f"{self._root}manifests/{dataset_id}"

    def _edition(self, dataset_id: str, edition: str) -> str:
        return f"{self._root}datasets/{dataset_id}/{edition}/"

    def _file(self, dataset_id: str, edition: str, name: str) -> str:
        return f"{self._edition(dataset_id, edition)}{name}"
