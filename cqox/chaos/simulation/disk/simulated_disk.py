"""A real folder as a simulated disk; see the package."""

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import IOBase
from pathlib import Path
from random import Random
from typing import Literal, Self

from cqox.chaos.simulation.disk.audit import listening, unobserved
from cqox.chaos.simulation.disk.content import surviving_content
from cqox.chaos.simulation.disk.descriptors import Descriptors
from cqox.chaos.simulation.disk.faults import DiskFault
from cqox.chaos.simulation.disk.live_names import LiveNames
from cqox.chaos.simulation.disk.namespace import Namespace, Node
from cqox.chaos.simulation.disk.operations import CHANGES, Operation, operation_of, path_of
from cqox.chaos.simulation.disk.tree import content_of, describe, read_tree, write_tree

__all__ = ["DiskEvent", "PowerLost", "ProcessDead", "SimulatedDisk", "Survival"]

type Survival = Literal["kept", "lost", "drawn"]
"""The share of unsynced changes that survives a power loss: all, none, or a draw."""


class PowerLost(BaseException):
    """The disk has no power: no operation happens until `SimulatedDisk.power_loss`.

    It is no `Exception`, so that a program does not handle it and go on.
    """


class ProcessDead(OSError):
    """The simulated process that asked for the operation is dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskEvent:
    """An operation on a simulated disk.

    Attributes:
        operation: its kind, one of `CHANGES`, `read`, `list` or `lock`; also `power_loss`.
        path: path relative to the disk.
        target: relative path of the new name, of `rename`, `link` and `exchange`.
        who: the process; None where it is none of those simulated.
        error: number of the error that it was refused with; 0 if it was not.
    """

    operation: str
    path: str
    target: str = ""
    who: str | None = None
    error: int = 0


class SimulatedDisk:
    """A folder in which operations fail, processes die, and a power loss takes what was not synced.

    What is modelled: names change at once for programs, and on the disk once their folder is synced (`journal=False`,
    what POSIX promises), or with any sync, in order (`journal=True`, as ext4 and XFS do). A change of names survives a
    power loss whole or not at all, also a rename between two folders. Content is on the disk once its file is synced;
    what was written since is torn by `content.surviving_content`. A full disk refuses what takes room.

    What is not: the size of the disk; `write` through descriptors, which is no audit event and is refused only where a
    program reports it as fault point `disk.write`; pages that a failed sync drops; damage of what was synced. Modes,
    owners and times survive as they are. Content is read into memory at each sync, so that the files should be small.
    Descriptors are found in `/proc`.

    Args:
        root: the folder, which exists; what it holds is on the disk. Best on a tmpfs.
        draw: source of randomness.
        now: returns the time in seconds, for `writeback`.
        who: returns the simulated process that is running, None for none of them. Its operations are never refused. No
            name is used again after its process died.
        opaque: patterns of relative paths, as in `fnmatch`, of files that survive as they are, such as those of a
            database that syncs itself. Their operations are refused like those of others.
        journal: whether a sync of any file or folder puts all changes of names on the disk.
        writeback: seconds after which changes of names are on the disk without a sync; never if None.
        is_single_threaded: whether to raise where a program would wait for a lock, which nobody else could release.
        observe: called with each operation of a simulated process.

    Attributes:
        changes: number of operations of simulated processes so far that change something.
    """

    def __init__(
        self,
        root: Path,
        *,
        draw: Random,
        now: Callable[[], float] = lambda: 0.0,
        who: Callable[[], str | None] = lambda: "program",
        opaque: Sequence[str] = (),
        journal: bool = False,
        writeback: float | None = None,
        is_single_threaded: bool = False,
        observe: Callable[[DiskEvent], object] | None = None,
    ) -> None:
        self._root = os.path.realpath(root)
        self._roots = (self._root, os.path.abspath(root))
        self._draw = draw
        self._now = now
        self._who = who
        self._opaque = tuple(opaque)
        self._journal = journal
        self._writeback = writeback
        self._is_single_threaded = is_single_threaded
        self._observe = observe
        self._faults: list[DiskFault] = []
        self._seen: dict[str, None] = {}
        self._dead = set[str]()
        self._cut_at: int | None = None
        self._is_off = False
        self._descriptors = Descriptors(lambda path: self._relative(path) not in (None, "") and not self._spared(path))
        self._listening: AbstractContextManager[None] | None = None
        self._lock = threading.RLock()
        self.changes = 0
        self._load()

    def __enter__(self) -> Self:
        self._listening = listening(self._at_audit_event)
        self._listening.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._listening is not None
        self._listening.__exit__(None, None, None)

    def fail(self, fault: DiskFault) -> None:
        """Refuse operations until `heal`."""
        self._faults.append(fault)

    def heal(self, fault: DiskFault | None = None) -> None:
        """End a fault, or all of them if None."""
        self._faults = [other for other in self._faults if fault is not None and other is not fault]

    @contextmanager
    def failing(self, fault: DiskFault) -> Iterator[None]:
        """Refuse operations until the block exits."""
        self.fail(fault)
        try:
            yield
        finally:
            self.heal(fault)

    def kill(self, name: str) -> None:
        """End a process: its locks end, and nothing that it does from now on has an effect."""
        with unobserved(), self._lock:
            self._dead.add(name)
            self._descriptors.release(name)

    def cut_at(self, change: int) -> None:
        """Cut the power before an operation that changes something, where `changes` would become this number."""
        self._cut_at = change

    def cut(self) -> None:
        """Cut the power now: no operation happens until `power_loss`."""
        with unobserved(), self._lock:
            self._names_now.settle()
            self._is_off = True
            self._descriptors.release_all()

    def power_loss(self, *, names: Survival = "drawn", content: Survival = "drawn") -> None:
        """Lose what was not synced, and let the disk have power again; every process that used it is dead.

        Args:
            names: whether changes of names since the last sync survive.
            content: whether content since the last sync survives.
        """
        if not self._is_off:
            self.cut()
        with unobserved(), self._lock:
            self._dead |= self._seen.keys()
            self._lose(names, content)
            self._load()
            self._is_off, self._cut_at = False, None
        if self._observe is not None:
            self._observe(DiskEvent(operation="power_loss", path=""))

    def at_fault_point(self, name: str, *details: object) -> None:
        """Take a fault point of the program, for `cqox.fault_points.hooked`; others than `disk.` are ignored.

        Args:
            name: `disk.sync` and `disk.synced`, or `disk.write`, with a path, a descriptor or an open file;
                `disk.exchange` and `disk.exchanged` with two paths.
            details: these.
        """
        match name.removeprefix("disk."), details:
            case ("sync" | "write") as kind, (file, *_):
                self._at_point(kind, file)
            case "exchange", (one, other):
                self._at_point("exchange", one, str(other))
            case "exchanged", (one, other):
                with unobserved(), self._lock:
                    self._names_now.exchanged(self._place(str(one)), self._place(str(other)))
            case "synced", (file, *_):
                with unobserved(), self._lock:
                    self._synced(file)
            case _:
                pass

    # ---- operations

    def _at_audit_event(self, event: str, arguments: tuple[object, ...]) -> None:
        operation = operation_of(event, arguments)
        if operation is not None:
            self._meet(operation)

    def _at_point(self, kind: str, file: object, target: str = "") -> None:
        path = _path(file)
        if path is not None:
            with unobserved():
                self._meet(Operation(kind, path, os.path.abspath(target) if target else ""))

    def _meet(self, operation: Operation) -> None:
        path = self._relative(operation.path)
        target = self._relative(operation.target) if operation.target else ""
        if path is not None or target:
            with self._lock:
                self._follow(operation, path or "", target or "")

    def _follow(self, operation: Operation, path: str, target: str) -> None:
        self._names_now.settle()
        self._write_back()
        who = self._who()
        if who is not None:
            self._refuse(operation.kind, path, target, who)
        real = Operation(
            operation.kind,
            self._place(operation.path),
            self._place(operation.target) if operation.target else "",
            operation.descriptor,
            operation.value,
        )
        if operation.kind == "lock":
            self._check_lock(real)
        elif operation.kind in ("create", "open", "read") and who is not None:
            self._descriptors.expect(who)
        self._names_now.begin(real)

    def _refuse(self, kind: str, path: str, target: str, who: str) -> None:
        self._seen[who] = None
        if who in self._dead:
            raise ProcessDead(errno.EIO, "the process is dead", path)
        if kind in CHANGES and not self._is_off:
            self.changes += 1
            if self.changes == self._cut_at:
                self.cut()
        if self._is_off:
            raise PowerLost
        error = next((fault.error for fault in self._faults if self._hits(fault, kind, path, target)), 0)
        if self._observe is not None:
            self._observe(DiskEvent(operation=kind, path=path, target=target, who=who, error=error))
        # The observer may have killed the process, or cut the power.
        if who in self._dead:
            raise ProcessDead(errno.EIO, "the process is dead", path)
        if self._is_off:
            raise PowerLost
        if error:
            raise OSError(error, os.strerror(error), path)

    def _hits(self, fault: DiskFault, kind: str, path: str, target: str) -> bool:
        if not (fault.concerns(kind, path) or (target and fault.concerns(kind, target))):
            return False
        return fault.share >= 1 or self._draw.random() < fault.share

    def _check_lock(self, operation: Operation) -> None:
        if not self._is_single_threaded or operation.value & (fcntl.LOCK_NB | fcntl.LOCK_UN):
            return
        try:
            fcntl.flock(operation.descriptor, operation.value | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"a wait for the lock of {operation.path}, which nobody can release") from None

    # ---- what is on the disk

    def _load(self) -> None:
        self._names = Namespace(read_tree(self._root, self._is_opaque))
        self._names_now = LiveNames(self._root, self._names, self._is_opaque, self._now)

    def _synced(self, file: object) -> None:
        path = _path(file)
        if path is None or self._relative(path) is None:
            return
        path = self._place(path)
        self._names_now.settle()
        if os.path.isdir(path):
            self._names_now.discover(path)
        elif self._names_now.node(path) is None:
            self._names_now.discover(os.path.dirname(path))
        node = self._names_now.node(path)
        if node is None:
            return
        if node.kind == "file":
            node.synced, node.least = content_of(path) or b"", None
        else:
            self._names.sync_folder(node)
        if self._journal:
            self._names.sync_all()

    def _write_back(self) -> None:
        if self._writeback is not None and self._names.pending:
            self._names.sync_all(until=self._now() - self._writeback)

    def _lose(self, names: Survival, content: Survival) -> None:
        self._names_now.settle()
        self._names_now.discover(self._root, deep=True)
        written = dict[Node, bytes]()
        for place, node in self._names.paths():
            path = f"{self._root}/{place}"
            describe(node, os.lstat(path))
            if node.kind == "file":
                written[node] = content_of(path) or b""
        describe(self._names.root, os.lstat(self._root))
        self._names.lose(self._draw, names, journal=self._journal)
        survivors = dict[Node, bytes]()
        for _, node in self._names.paths():
            if node.kind == "file" and node not in survivors:
                survivors[node] = self._surviving(node, written.get(node, node.last), content)
        write_tree(self._root, self._names.root, survivors, self._is_opaque)

    def _surviving(self, node: Node, written: bytes, content: Survival) -> bytes:
        if content == "drawn":
            return surviving_content(node.synced, written, self._draw, least=node.least)
        return written if content == "kept" else node.synced

    # ---- paths

    def _relative(self, path: str) -> str | None:
        for root in self._roots:
            if path == root:
                return ""
            if path.startswith(f"{root}/"):
                return path[len(root) + 1 :]
        return None

    def _place(self, path: str) -> str:
        relative = self._relative(os.path.abspath(path))
        if relative is None:
            return path
        return f"{self._root}/{relative}" if relative else self._root

    def _is_opaque(self, relative: str) -> bool:
        return any(fnmatchcase(relative, pattern) for pattern in self._opaque)

    def _spared(self, path: str) -> bool:
        return self._is_opaque(self._relative(path) or "")


def _path(file: object) -> str | None:
    """Return the absolute path of a descriptor, an open file or a path; None where it has none."""
    if isinstance(file, int):
        return path_of(file)
    if isinstance(file, str | os.PathLike):
        return os.path.abspath(os.fsdecode(file))
    return path_of(file.fileno()) if isinstance(file, IOBase) else None
