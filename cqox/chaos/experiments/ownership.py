"""Processes that this run has started, the only ones that it signals."""

import os
import signal as signals
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cqox.errors import CqoxError

__all__ = ["NotOurs", "Owned", "Processes", "children_of", "start_of"]


class NotOurs(CqoxError):
    """A process is not one that this run has started, so that it is not touched.

    Attributes:
        pid: its id.
        reason: why it is not.
    """

    def __init__(self, pid: int, reason: str) -> None:
        self.pid = pid
        self.reason = reason
        super().__init__(f"process {pid} is not touched: {reason}")


@dataclass(frozen=True, slots=True)
class Owned:
    """One process.

    Attributes:
        pid: its id, which another process can have later.
        start: when it started, in ticks of the kernel's clock: with the id it names one process.
    """

    pid: int
    start: int


def start_of(pid: int) -> int | None:
    """Return when a process started, in ticks since the machine did; None where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name stands in brackets and may hold anything.
    return int(text.rpartition(")")[2].split()[19])


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    found = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += [int(each) for each in (thread / "children").read_text().split()]
    return sorted(found)


class Processes:
    """The processes of a run; those that they start belong to it too."""

    def __init__(self) -> None:
        self._roots: dict[int, Owned] = {}

    def add(self, pid: int) -> Owned:
        """Take a process that this one has just started.

        Raises:
            NotOurs: it is not a child of this process.
        """
        start = start_of(pid)
        if start is None or pid not in children_of(os.getpid()):
            raise NotOurs(pid, "this run did not start it")
        owned = Owned(pid, start)
        self._roots[pid] = owned
        return owned

    def tree(self, pid: int) -> list[Owned]:
        """Return a process that belongs to the run, and all that it has started.

        Raises:
            NotOurs: it does not belong to the run.
        """
        root = self._roots.get(pid)
        if root is None:
            raise NotOurs(pid, "this run did not start it")
        if start_of(pid) != root.start:
            raise NotOurs(pid, "it has ended, and its number is free or that of another process")
        found = [root]
        for each in found:
            found += [Owned(child, start) for child in children_of(each.pid) if (start := start_of(child)) is not None]
        return found

    def signal(self, pid: int, number: signals.Signals, *, with_children: bool = False) -> list[Owned]:
        """Signal a process of the run, and on demand all that it has started; return those that were signalled.

        Raises:
            NotOurs: it does not belong to the run.
        """
        found = self.tree(pid)
        for each in found if with_children else found[:1]:
            self.signal_one(each, number)
        return found if with_children else found[:1]

    def signal_one(self, owned: Owned, number: signals.Signals) -> bool:
        """Signal a process that `tree` has returned, unless it has ended meanwhile; return whether it was signalled."""
        try:
            # The descriptor names the process, whatever its number is used for later.
            descriptor = os.pidfd_open(owned.pid)
        except ProcessLookupError:
            return False
        try:
            if start_of(owned.pid) != owned.start:
                return False
            with suppress(ProcessLookupError):
                signals.pidfd_send_signal(descriptor, number)
            return True
        finally:
            os.close(descriptor)
