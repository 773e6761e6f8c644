"""Changes of names that programs make in a folder, followed from one audit event to the next.

An audit event comes before its operation. Whether that happened is seen when the same thread causes its next event, or
before another thread does. What other code than Python did, which causes no events, is found by reading the folder.
"""

import os
import threading
from collections.abc import Callable

from cqox.chaos.simulation.disk.namespace import Entry, Namespace, Node
from cqox.chaos.simulation.disk.operations import Operation
from cqox.chaos.simulation.disk.tree import content_of, describe, node_of

__all__ = ["LiveNames"]

_APPEAR = frozenset({"create", "make_folder", "symlink"})
_DISAPPEAR = frozenset({"remove", "remove_folder"})


class LiveNames:
    """Follows the names of one folder.

    Args:
        root: absolute path of the folder.
        names: its names.
        is_opaque: returns whether the file at a relative path is not followed.
        now: returns the time in seconds.
    """

    def __init__(self, root: str, names: Namespace, is_opaque: Callable[[str], bool], now: Callable[[], float]) -> None:
        self._root = root
        self._names = names
        self._is_opaque = is_opaque
        self._now = now
        self._under_way: dict[int, tuple[Operation, float]] = {}

    def begin(self, operation: Operation) -> None:
        """Note an operation that happens after this call."""
        for path in (operation.path, operation.target):
            if path and self.node(path) is None and os.path.lexists(path):
                self.discover(os.path.dirname(path))
        if operation.value >= 0 and operation.kind != "lock":
            self._cut_off(operation.path, operation.value)
        if operation.kind in ("remove", "rename"):
            self._keep_content(operation.target or operation.path)
        if operation.kind in _APPEAR | _DISAPPEAR | {"rename", "link"}:
            self._under_way[threading.get_ident()] = operation, self._now()

    def settle(self) -> None:
        """See which of the operations that were noted have happened."""
        own = threading.get_ident()
        for thread, (operation, at) in list(self._under_way.items()):
            if self._has_happened(operation, at) or thread == own:
                del self._under_way[thread]

    def exchanged(self, one: str, other: str) -> None:
        """Let two paths change places."""
        first, second = self._entry(one), self._entry(other)
        if first is not None and second is not None:
            (folder, name, node), (folder_2, name_2, node_2) = first, second
            self._names.change([(folder, name, node_2), (folder_2, name_2, node)], self._now())

    def node(self, path: str) -> Node | None:
        """Return what is at an absolute path."""
        if path != self._root and not path.startswith(f"{self._root}/"):
            return None
        return self._names.find(path.removeprefix(self._root).split("/")[1:])

    def discover(self, path: str, *, deep: bool = False) -> None:
        """Compare a folder with the names that are known, and take over what other code than Python did.

        Args:
            path: the folder.
            deep: whether to compare the folders in it as well.
        """
        if path != self._root and not path.startswith(f"{self._root}/"):
            return
        if path != self._root and self.node(path) is None:
            self.discover(os.path.dirname(path))
        found, folder, at = self._listed(path), self.node(path), self._now()
        if folder is None or folder.kind != "folder":
            return
        for name in sorted(folder.entries.keys() - set(found)):
            self._names.change([(folder, name, None)], at)
        for name in found:
            if name not in folder.entries:
                self._appear(folder, name, f"{path}/{name}", at)
            node = folder.entries.get(name)
            if deep and node is not None and node.kind == "folder":
                self.discover(f"{path}/{name}", deep=True)

    def _listed(self, path: str) -> list[str]:
        """Return the names in a folder, at a moment when all operations so far are known."""
        while True:
            changes = self._names.changes
            try:
                found = sorted(os.listdir(path))
            except OSError:
                found = []
            # Another thread may have changed a name before it was read.
            self.settle()
            if self._names.changes == changes:
                return found

    def _has_happened(self, operation: Operation, at: float) -> bool:
        kind, path, target = operation.kind, operation.path, operation.target
        entry = self._entry(path)
        if entry is None:
            return True
        folder, name, node = entry
        if kind in _APPEAR:
            if node is None:
                self._appear(folder, name, path, at)
            return folder.entries.get(name) is not None
        if kind == "link":
            return self._has_linked(node, target, at)
        if os.path.lexists(path):
            return False
        if kind == "rename":
            new = self._entry(target)
            changes: list[Entry] = [(folder, name, None)]
            if new is not None and not self._is_opaque(target.removeprefix(f"{self._root}/")):
                changes.append((new[0], new[1], node))
        else:
            changes = [(folder, name, None)]
        if node is not None:
            self._names.change(changes, at)
        return True

    def _has_linked(self, node: Node | None, target: str, at: float) -> bool:
        new = self._entry(target)
        if node is None or new is None:
            return True
        if new[2] is None and os.path.lexists(target):
            self._names.change([(new[0], new[1], node)], at)
            return True
        return False

    def _appear(self, folder: Node, name: str, path: str, at: float) -> None:
        node = node_of(path)
        if node is None or node.kind == "other":
            return
        if node.kind == "folder" or not self._is_opaque(path.removeprefix(f"{self._root}/")):
            self._names.change([(folder, name, node)], at)

    def _cut_off(self, path: str, size: int) -> None:
        node = self.node(path)
        if node is not None:
            node.least = size if node.least is None else min(size, node.least)

    def _keep_content(self, path: str) -> None:
        """Keep what a name refers to before that goes, since a power loss may bring it back."""
        node = self.node(path)
        if node is not None and node.kind == "file":
            content = content_of(path)
            if content is not None:
                node.last = content
                describe(node, os.lstat(path))

    def _entry(self, path: str) -> Entry | None:
        folder = self.node(os.path.dirname(path))
        if folder is None or path == self._root:
            return None
        name = os.path.basename(path)
        return folder, name, folder.entries.get(name)
