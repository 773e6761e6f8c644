"""Rendered figures of one tenant in an object store, which are rendered again where they are missing; blocking.

figures/<analysis id>/<name>.svg
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cqox.encryption import SealBroken
from cqox.storage.figure_files import figure_context
from cqox.storage.objects.client import Objects
from cqox.storage.objects.keys import root_of
from cqox.storage.resealing import is_current
from cqox.storage.sealing import TenantSealing

__all__ = ["FigureObjects"]


class FigureObjects:
    """The figures of one tenant.

    Args:
        objects: the object store.
        tenant_id: the tenant.
        sealing: encryption at rest.

    A figure is named by a path whose last two parts are the analysis and the file.
    """

    def __init__(self, objects: Objects, tenant_id: str, sealing: TenantSealing) -> None:
        self._objects = objects
        self._root = f"{root_of(tenant_id)}figures/"
        self._sealing = sealing

    def drawn(self) -> Mapping[str, float]:
        """Return the ids of all analyses with a rendered figure, and when one was last rendered."""
        found = dict[str, float]()
        for info in self._objects.list(self._root):
            analysis_id = info.key.removeprefix(self._root).partition("/")[0]
            found[analysis_id] = max(info.modified_at, found.get(analysis_id, 0.0))
        return found

    def erase(self, analysis_id: str) -> None:
        """Delete the figures of an analysis."""
        self._objects.delete_below(f"{self._root}{analysis_id}/")

    def outdated(self) -> Sequence[str]:
        """Return the ids of the analyses with a figure that would be written otherwise now."""
        found = dict[str, None]()
        for info in self._objects.list(self._root):
            if not is_current(self._objects.beginning(info), self._sealing):
                found[info.key.removeprefix(self._root).partition("/")[0]] = None
        return list(found)

    def read(self, path: Path) -> bytes | None:
        """Return a figure, or None where there is none."""
        found = self._objects.get(self._key(path))
        if found is None:
            return None
        try:
            return self._sealing.open(found[0], figure_context(path))
        except SealBroken:
            # It is rendered again.
            return None

    def write(self, path: Path, content: bytes) -> None:
        """Write a figure; a reader never sees a part of it."""
        self._objects.put(self._key(path), self._sealing.seal(content, figure_context(path)))

    def count(self, analysis_id: str) -> int:
        """Return the number of figures of an analysis."""
        return len(self._objects.list(f"{self._root}{analysis_id}/"))

    def _key(self, path: Path) -> str:
        return f"{self._root}{path.parent.name}/{path.name}"
