"""Free space and size of the disks that an engine writes to, as of the last look at them."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DiskUsage", "Space"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Space of one disk, in bytes."""

    free_bytes: int
    size_bytes: int


class DiskUsage:
    """The disks of a data directory and of temporary files.

    A disk that hangs must not hold a reader of metrics: `look` asks the disks, and `found` is what it saw last.

    Args:
        data: the data directory.
        temporary: folder of temporary files; the one of this process if None.

    Attributes:
        found: the space by `data` and, where it is another disk, `temporary`; empty before the first look, and without
            a disk that could not be asked.
    """

    def __init__(self, data: Path, temporary: Path | None = None) -> None:
        self._folders = {"data": data, "temporary": Path(tempfile.gettempdir()) if temporary is None else temporary}
        self.found: Mapping[str, Space] = {}

    def look(self) -> None:
        """Ask the disks; blocks as long as they do."""
        found: dict[str, Space] = {}
        seen = set[int]()
        for name, folder in self._folders.items():
            try:
                about, device = os.statvfs(folder), os.stat(folder).st_dev
            except OSError:
                # The check of the data directory reports it.
                continue
            if device not in seen:
                seen.add(device)
                found[name] = Space(
                    free_bytes=about.f_bavail * about.f_frsize, size_bytes=about.f_blocks * about.f_frsize
                )
        self.found = found
