"""Leftovers in a data directory, and markers of erased data sets whose reports are deleted with them.

A marker is a file named for the data set. Without it, a computation that was running when the data set was erased would
leave its report, as would an engine that was killed half-way through erasing hundreds of reports.
"""

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cqox import clock
from cqox.storage.file_operations import sync

__all__ = ["ERASED_SECONDS", "Erasures", "sweep"]

ERASED_SECONDS = 86_400.0
_LEFT_SECONDS = 86_400.0
_DELETED_SECONDS = 600.0


class Erasures:
    """Markers of recently erased data sets.

    Args:
        folder: the folder of the markers; created with the first one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, dataset_id: str) -> None:
        """Mark the data set as erased now.

        Raises:
            OSError: the disk rejects the marker.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / dataset_id).touch(mode=0o600)
        # So that a deletion that a power failure interrupts is completed.
        for folder in (self._folder, self._folder.parent):
            sync(folder)

    def end(self, dataset_id: str) -> None:
        """Remove the marker: the data set was uploaded again, or no further report can appear."""
        with suppress(OSError):
            (self._folder / dataset_id).unlink()
            # A power failure would bring it back.
            sync(self._folder)

    def all(self) -> Mapping[str, float]:
        """Return the erased data sets that may still get reports, with the age in seconds; remove older markers."""
        found = dict[str, float]()
        with suppress(OSError):
            for path in sorted(self._folder.iterdir()):
                age = clock.wall_time() - path.stat().st_mtime
                if age > ERASED_SECONDS:
                    path.unlink(missing_ok=True)
                else:
                    found[path.name] = age
        return found


def sweep(root: Path, kinds: Sequence[str], known: Callable[[], Collection[str]], *, own: str) -> int:
    """Remove entries of processes without a known liveness lock, and deletions that failed.

    Args:
        root: the data directory.
        kinds: folders in it whose entries are named for their process.
        known: returns the processes that live or are still to be reclaimed; called after the entries are listed.
        own: name of this process, whose own failed deletions are removed.

    Returns:
        Number of entries removed.
    """
    entries = [path for kind in kinds for path in _entries(root / kind)]
    living = known()
    count = 0
    for path in entries:
        owner = path.name.partition("-")[0]
        failed = path.parent.name == "removed" and owner == own and _age(path) > _DELETED_SECONDS
        if failed or (owner not in living and _age(path) > _LEFT_SECONDS):
            shutil.rmtree(path, ignore_errors=True)
            count += not path.exists()
    return count


def _entries(folder: Path) -> Sequence[Path]:
    with suppress(OSError):
        return list(folder.iterdir())
    return ()


def _age(path: Path) -> float:
    # A rename keeps the modification time (mtime) and updates the change time (ctime).
    try:
        return clock.wall_time() - path.stat().st_ctime
    except OSError:
        return 0.0
