"""What a data directory holds that nobody needs, and the data sets that take their reports along.

An erasure is a file named for the data set: a computation that was under way when the data set was erased would
otherwise leave its report behind, as would an engine that was killed in the middle of erasing hundreds of them.
"""

import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["Erasures", "sweep"]

_ERASED_SECONDS = 86_400.0
_LEFT_SECONDS = 86_400.0
_DELETED_SECONDS = 600.0


class Erasures:
    """The data sets that were erased of late.

    Args:
        folder: where they are noted; created with the first of them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, dataset_id: str) -> None:
        """Note that the data set is erased now.

        Raises:
            OSError: the disk does not take the note.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / dataset_id).touch(mode=0o600)

    def end(self, dataset_id: str) -> None:
        """Forget it: the data set was uploaded again, or there is nothing left to come."""
        with suppress(OSError):
            (self._folder / dataset_id).unlink(missing_ok=True)

    def all(self) -> Mapping[str, float]:
        """Those that may still leave reports behind, and how many seconds ago they began; older ones are forgotten."""
        found = dict[str, float]()
        with suppress(OSError):
            for path in sorted(self._folder.iterdir()):
                age = time.time() - path.stat().st_mtime
                if age > _ERASED_SECONDS:
                    path.unlink(missing_ok=True)
                else:
                    found[path.name] = age
        return found


def sweep(root: Path, kinds: Sequence[str], known: Callable[[], Collection[str]], *, own: str) -> int:
    """Remove what is of processes that never announced themselves or are forgotten, and deletions that failed.

    Args:
        root: the data directory.
        kinds: folders in it whose entries are named for their process.
        known: the processes that live or will be buried; asked once the entries have been listed.
        own: this process, whose own deletions are removed where they failed.

    Returns:
        How many entries were removed.
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
    # A rename does not change the time of what is renamed, but the change of its name does.
    try:
        return time.time() - path.stat().st_ctime
    except OSError:
        return 0.0
