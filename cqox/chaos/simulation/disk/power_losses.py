"""Every power loss that an operation can meet: before each of its changes, and after the last one."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from cqox.chaos.simulation.disk.simulated_disk import DiskEvent, PowerLost, SimulatedDisk, Survival
from cqox.fault_points import hooked

__all__ = ["PowerLoss", "each_power_loss"]

_EXTREMES: Sequence[tuple[Survival, Survival]] = (
    ("lost", "lost"),
    ("lost", "kept"),
    ("kept", "lost"),
    ("kept", "kept"),
)


@dataclass(kw_only=True, repr=False)
class PowerLoss:
    """One power loss.

    Attributes:
        root: folder of the disk, empty at first.
        cut: before which change after `begin` the power is lost; after the last one if there are fewer.
        names: whether changes of names survive; see `SimulatedDisk.power_loss`.
        content: whether content survives.
        seed: what is drawn.
        journal: see `SimulatedDisk`.
        is_complete: whether the operation ended before the power was lost, so that it may have been acknowledged.
        events: the operations so far.
    """

    root: Path
    cut: int
    names: Survival
    content: Survival
    seed: int
    journal: bool
    opaque: Sequence[str] = ()
    is_complete: bool = field(default=False, init=False)
    events: list[DiskEvent] = field(default_factory=list, init=False)
    _disk: SimulatedDisk | None = field(default=None, init=False, repr=False)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run what is to be done in the block, and lose the power in it or at its end."""
        self._disk = SimulatedDisk(
            self.root, draw=Random(self.seed), opaque=self.opaque, journal=self.journal, observe=self.events.append
        )
        with self._disk, hooked(self._disk.at_fault_point):
            try:
                yield
                self.is_complete = True
            except PowerLost:
                pass
            self._disk.power_loss(names=self.names, content=self.content)

    def begin(self) -> None:
        """Count changes from here; what was done before was acknowledged."""
        assert self._disk is not None
        self._disk.cut_at(self._disk.changes + self.cut)

    def __repr__(self) -> str:
        last = next((event for event in reversed(self.events) if event.operation != "power_loss"), None)
        at = "the end" if self.is_complete or last is None else f"after {last.operation} of {last.path}"
        order = f"seed {self.seed}, journal" if self.journal else f"seed {self.seed}"
        return f"power lost at change {self.cut}, {at}; names {self.names}, content {self.content}, {order}"


def each_power_loss(folder: Path, *, seeds: int = 3, opaque: Sequence[str] = ()) -> Iterator[PowerLoss]:
    """Yield each power loss that one operation can meet.

    The operation is repeated on an empty disk for each of its changes, and each time names and content survive
    otherwise: all of them, none, or those that are drawn; without a journal and, once for each seed, with one.

        for loss in each_power_loss(tmp_path):
            with loss.running():
                program = prepared(loss.root)
                loss.begin()
                program.store("content")
            assert load(loss.root) == "content" or not loss.is_complete, loss

    Args:
        folder: an empty folder, best on a tmpfs.
        seeds: how many draws there are besides the extremes.
        opaque: see `SimulatedDisk`.
    """
    kinds: list[tuple[Survival, Survival, int, bool]] = [(names, content, 0, False) for names, content in _EXTREMES]
    kinds += [("drawn", "drawn", seed, journal) for seed in range(1, seeds + 1) for journal in (False, True)]
    for number, (names, content, seed, journal) in enumerate(kinds):
        cut, is_complete = 0, False
        while not is_complete:
            cut += 1
            root = folder / f"{number}-{cut}"
            root.mkdir(0o700)
            loss = PowerLoss(
                root=root,
                cut=cut,
                names=names,
                content=content,
                seed=seed * 100_003 + cut,
                journal=journal,
                opaque=opaque,
            )
            yield loss
            is_complete = loss.is_complete
            shutil.rmtree(root)
