"""Files for a worker to read, with what opens them where they are sealed."""

from dataclasses import dataclass
from pathlib import Path

from cqox.storage.sealing import FileKeys

__all__ = ["Readable", "table_context"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A file for a worker to read.

    Attributes:
        path: where it is.
        keys: keys that open it, and the files next to it.
    """

    path: Path
    keys: FileKeys

    def to_arguments(self) -> dict[str, object]:
        """Return the arguments of a task by which it is read."""
        return {"path": str(self.path), **self.keys.to_arguments()}


def table_context(dataset_id: str) -> str:
    """Return the context of the files of a table, to which their names are added."""
    return f"table/{dataset_id}"
