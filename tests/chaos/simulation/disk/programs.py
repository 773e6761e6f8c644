"""Programs on a simulated disk."""

from pathlib import Path
from random import Random

from cqox.chaos.simulation.disk import DiskEvent, SimulatedDisk
from cqox.file_sync import sync

__all__ = ["Program", "written"]


class Program:
    """A disk with the simulated process that runs now."""

    def __init__(self, root: Path, seed: int = 1, **options: object) -> None:
        self.root = root
        self.events: list[DiskEvent] = []
        self.name: str | None = "one"
        self.now = 0.0
        self.disk = SimulatedDisk(
            root,
            draw=Random(seed),
            who=lambda: self.name,
            now=lambda: self.now,
            observe=self.events.append,
            **options,  # type: ignore[arg-type]
        )

    def found(self) -> dict[str, bytes | None]:
        """Return each path with its content, None for folders."""
        name, self.name = self.name, None
        try:
            return {
                str(path.relative_to(self.root)): path.read_bytes() if path.is_file() else None
                for path in sorted(self.root.rglob("*"))
            }
        finally:
            self.name = name


def written(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    sync(path)
