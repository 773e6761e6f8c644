"""Editions of a data set in an object store: the current one, and the files of one in a folder; blocking."""

from collections.abc import Callable
from pathlib import Path

from cqox.storage.manifest import Manifest, digest_of
from cqox.storage.objects.client import Objects
from cqox.storage.objects.keys import root_of

__all__ = ["EDITION_CHARACTERS", "EditionFiles", "Incomplete", "edition_of"]

EDITION_CHARACTERS = 32
"""Length of the name of an edition."""


def edition_of(objects: Objects, tenant_id: str, dataset_id: str) -> str | None:
    """Return the current edition of a data set; None where there is none."""
    found = objects.head(f"{root_of(tenant_id)}manifests/{dataset_id}", EDITION_CHARACTERS)
    return None if found is None else found.decode("ascii", "replace")


class Incomplete(Exception):
    """A file of an edition is missing or damaged; the argument is its name."""


class EditionFiles:
    """The files of an edition.

    Args:
        objects: the object store.
        root: the beginning of their keys.
        manifest: the manifest of the data set.
        make_room: raises unless the disk keeps its reserve after a copy of a size.
    """

    def __init__(self, objects: Objects, root: str, manifest: Manifest, *, make_room: Callable[[int], None]) -> None:
        self._objects = objects
        self._root = root
        self._manifest = manifest
        self._make_room = make_room

    def fetch(self, folder: Path) -> None:
        """Write the files into an empty folder.

        Raises:
            Incomplete: one is missing or damaged.
        """
        self._make_room(sum(info.size_bytes for info in self._objects.list(self._root)))
        for name, digest in self._manifest.digests.items():
            path = folder / name
            if not self._objects.download(f"{self._root}{name}", path) or digest_of(path) != digest:
                raise Incomplete(name)

    def is_intact(self, folder: Path) -> bool:
        """Return whether a folder has these files, with the digests of the manifest."""
        found = {path.name: digest_of(path) for path in folder.iterdir()}
        return found == dict(self._manifest.digests)
