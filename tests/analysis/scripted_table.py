"""A table that lies elsewhere, whose blocks arrive when a test lets them."""

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

from cqox.sources import Parts

__all__ = ["ScriptedTable"]


@dataclass
class ScriptedTable:
    """The part of a `RemoteTable` that a mirror needs.

    Attributes:
        snapshot: its snapshot.
        size_bytes: what it says that it has.
        blocks: number of blocks of ten bytes that it gives.
        gate: each block but the first waits for it.
        before: called before each block.
        begun: number of copies that were begun.
    """

    snapshot: str | None = "one"
    size_bytes: int | None = 30
    blocks: int = 3
    gate: threading.Event = field(default_factory=threading.Event)
    before: Callable[[int], None] = lambda _: None
    begun: int = 0

    def __post_init__(self) -> None:
        self.gate.set()

    def copying(self, folder: Path) -> Generator[int]:
        self.begun += 1
        (folder / "00000").mkdir()
        with (folder / "00000" / "a.parquet").open("xb") as file:
            for number in range(self.blocks):
                self.before(number)
                if number:
                    self.gate.wait()
                file.write(b"0123456789")
                yield 10

    def copies(self, folder: Path) -> Parts:
        return Parts(base=folder, files=(folder / "00000" / "a.parquet",), format="parquet")
