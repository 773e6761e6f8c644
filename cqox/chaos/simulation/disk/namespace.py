"""Names of a file system in two states: as programs see them, and as they are on the disk.

Each change of names is one or more entries of folders that change together. It is pending until its folder is synced,
or the journal is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

__all__ = ["Change", "Entry", "Namespace", "Node"]

_PRUNE_AT = 64


@dataclass(slots=True, eq=False)
class Node:
    """A file, a folder or a symbolic link.

    Attributes:
        kind: `file`, `folder` or `link`.
        mode: its permissions.
        times: its times of access and modification, in nanoseconds of the Unix epoch.
        synced: content of a file at its last sync.
        least: smallest size of a file since its last sync, where it was cut off; None where it was not.
        last: content of a file when a name of it was last removed; target of a link.
        entries: of a folder, as programs see them.
        durable: of a folder, as they are on the disk.
    """

    kind: str
    mode: int = 0o600
    times: tuple[int, int] = (0, 0)
    synced: bytes = b""
    least: int | None = None
    last: bytes = b""
    entries: "dict[str, Node]" = field(default_factory=dict)
    durable: "dict[str, Node]" = field(default_factory=dict)


type Entry = tuple[Node, str, Node | None]
"""Folder, name, and what has that name from now on; None if nothing has."""


@dataclass(slots=True, eq=False)
class Change:
    """Entries that change together.

    Attributes:
        entries: the entries.
        at: when it was made, in seconds.
        keys: folder and name of each entry.
        folders: the folders whose entries change.
    """

    entries: Sequence[Entry]
    at: float
    keys: frozenset[tuple[Node, str]] = field(init=False)
    folders: frozenset[Node] = field(init=False)

    def __post_init__(self) -> None:
        self.keys = frozenset((folder, name) for folder, name, _ in self.entries)
        self.folders = frozenset(folder for folder, _ in self.keys)


class Namespace:
    """The names below one folder.

    Args:
        root: that folder, with what is on the disk.

    Attributes:
        root: that folder.
        changes: number of changes so far.
    """

    def __init__(self, root: Node) -> None:
        self.root = root
        self.changes = 0
        self._pending: list[Change] = []
        self._prune_at = _PRUNE_AT

    @property
    def pending(self) -> int:
        """Number of changes that are not on the disk."""
        return len(self._pending)

    def find(self, parts: Sequence[str]) -> Node | None:
        """Return what programs see at a path; links are not followed."""
        node: Node | None = self.root
        for part in parts:
            node = None if node is None else node.entries.get(part)
        return node

    def change(self, entries: Sequence[Entry], at: float) -> None:
        """Change entries, for programs at once, on the disk later."""
        self.changes += 1
        self._pending.append(Change(entries, at))
        for folder, name, node in entries:
            _put(folder.entries, name, node)
        if len(self._pending) >= self._prune_at:
            self._prune()

    def sync_folder(self, folder: Node) -> None:
        """Put the entries of a folder on the disk, and what they depend on."""
        self._settle({change for change in self._pending if folder in change.folders})

    def sync_all(self, *, until: float | None = None) -> None:
        """Put all changes on the disk, or those that were made by a time."""
        if until is None or (self._pending and self._pending[0].at <= until):
            self._settle({change for change in self._pending if until is None or change.at <= until})

    def lose(self, draw: Random, entries: str, *, journal: bool) -> int:
        """Lose pending changes; programs see what is on the disk then. Return how many are lost.

        Args:
            draw: source of randomness.
            entries: `kept`, `lost` or `drawn`.
            journal: whether those that survive are the first ones.
        """
        pending, survivors = self._pending, set[Change]()
        if entries == "kept":
            survivors = set(pending)
        elif entries == "drawn" and journal:
            survivors = set(pending[: draw.randint(0, len(pending))])
        elif entries == "drawn":
            survivors = {change for change in pending if draw.random() < 0.5}
        self._settle(survivors)
        count = len(self._pending)
        self._pending.clear()
        for node in set(_reachable(self.root)):
            node.entries = dict(node.durable)
        return count

    def paths(self) -> Iterator[tuple[str, Node]]:
        """Yield each path that programs see, relative to the root, in order; folders before what they hold."""
        yield from _paths("", self.root)

    def _settle(self, chosen: set[Change]) -> None:
        """Put changes on the disk, with all earlier ones of the same entries."""
        if not chosen:
            return
        needed, keys = set[Change](), set[tuple[Node, str]]()
        for change in reversed(self._pending):
            if change in chosen or not keys.isdisjoint(change.keys):
                needed.add(change)
                keys |= change.keys
        for change in self._pending:
            if change in needed:
                for folder, name, node in change.entries:
                    _put(folder.durable, name, node)
        self._pending = [change for change in self._pending if change not in needed]

    def _prune(self) -> None:
        """Drop the changes in folders that are gone for programs and on the disk, which nobody will ever sync."""
        assigned = dict[Node, list[Node]]()
        for change in self._pending:
            for folder, _, node in change.entries:
                if node is not None:
                    assigned.setdefault(folder, []).append(node)
        reachable, rest = set[Node](), [self.root]
        while rest:
            node = rest.pop()
            if node not in reachable:
                reachable.add(node)
                rest += (*node.entries.values(), *node.durable.values(), *assigned.get(node, ()))
        self._pending = [change for change in self._pending if not reachable.isdisjoint(change.folders)]
        self._prune_at = max(_PRUNE_AT, 2 * len(self._pending))


def _put(entries: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        entries.pop(name, None)
    else:
        entries[name] = node


def _reachable(folder: Node) -> Iterator[Node]:
    yield folder
    for node in folder.durable.values():
        if node.kind == "folder":
            yield from _reachable(node)


def _paths(path: str, folder: Node) -> Iterator[tuple[str, Node]]:
    for name, node in sorted(folder.entries.items()):
        place = f"{path}/{name}" if path else name
        yield place, node
        if node.kind == "folder":
            yield from _paths(place, node)
