"""Marks of recently erased data sets in an object store, whose reports are deleted with them; blocking.

    erased/<tenant id>/<data set id>    an empty object; its time is that of the erasure

Every engine asks for them every few seconds and for every tenant: one listing of all serves all tenants for a moment.
"""

from collections.abc import Mapping
from threading import Lock

from cqox import clock
from cqox.storage.leftovers import ERASED_SECONDS
from cqox.storage.objects.client import ObjectInfo, Objects
from cqox.storage.objects.keys import ERASED

__all__ = ["ErasureMarks"]

_LISTED_SECONDS = 2.0


class ErasureMarks:
    """The marks of all tenants.

    Args:
        objects: the object store.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._lock = Lock()
        self._listed: list[ObjectInfo] = []
        self._until = 0.0

    def begin(self, tenant_id: str, dataset_id: str) -> None:
        """Mark the data set as erased now."""
        self._objects.put(f"{ERASED}{tenant_id}/{dataset_id}", b"")
        self._until = 0.0

    def end(self, tenant_id: str, dataset_id: str) -> None:
        """Remove the mark: the data set was uploaded again, or no further report can appear."""
        self._objects.delete(f"{ERASED}{tenant_id}/{dataset_id}")
        self._until = 0.0

    def all(self, tenant_id: str) -> Mapping[str, float]:
        """Return the erased data sets that may still get reports, with the age in seconds; remove older marks."""
        now, found, root = clock.wall_time(), dict[str, float](), f"{ERASED}{tenant_id}/"
        for info in self._list():
            if not info.key.startswith(root):
                continue
            age = now - info.modified_at
            if age > ERASED_SECONDS:
                self._objects.delete(info.key)
            else:
                found[info.key.removeprefix(root)] = age
        return found

    def _list(self) -> list[ObjectInfo]:
        with self._lock:
            now = clock.monotonic()
            if now >= self._until:
                self._listed = list(self._objects.list(ERASED))
                self._until = now + _LISTED_SECONDS
            return self._listed
