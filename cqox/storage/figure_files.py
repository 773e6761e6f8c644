"""Rendered figures of one tenant, which are rendered again where they are missing.

figures/<analysis id>/<name>.svg
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from cqox import randomness
from cqox.contract.messages import Message
from cqox.encryption import SealBroken
from cqox.errors import NotFound
from cqox.storage.file_operations import remove, sync
from cqox.storage.private import private_folder
from cqox.storage.sealing import TenantSealing

__all__ = ["FigureFiles", "checked_part"]

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


class FigureFiles(ABC):
    """Rendered figures of one tenant.

    Args:
        root: the folder of the tenant.
        sealing: encryption at rest.

    Attributes:
        sealing: encryption at rest.
    """

    def __init__(self, root: Path, sealing: TenantSealing) -> None:
        self._root = root
        self.sealing = sealing

    @abstractmethod
    async def threaded[*Given, T](self, call: Callable[[*Given], T], *given: *Given) -> T:
        """Call a blocking function on files in a thread of this store."""

    @abstractmethod
    def listed(self, name: str) -> Sequence[Path]:
        """Return the entries of one of the folders."""

    def drawn(self) -> Sequence[str]:
        """Return the ids of all analyses with a rendered figure."""
        return [path.name for path in self.listed("figures")]

    def drawn_at(self, analysis_id: str) -> float:
        """Return when a figure of this analysis was last rendered, in seconds of the Unix epoch; 0 if never."""
        try:
            return (self._root / "figures" / checked_part(analysis_id)).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    async def erase(self, analysis_id: str) -> None:
        """Remove the rendered figures of an analysis; the next request renders them again."""
        folder = self._root / "figures" / checked_part(analysis_id)

        def erase() -> None:
            if folder.exists():
                remove(folder)
                # They may show personal data: a power failure must not bring them back.
                sync(folder.parent)

        await self.threaded(erase)

    def figure(self, analysis_id: str, name: str, suffix: str) -> Path:
        """Return the path of the rendered figure, also before it is rendered."""
        return self._root / "figures" / checked_part(analysis_id) / f"{checked_part(name)}.{checked_part(suffix)}"

    async def read_figure(self, path: Path) -> bytes | None:
        """Return a rendered figure by its path of `figure`, or None where there is none."""

        def read() -> bytes | None:
            try:
                return self.sealing.read_file(path, _figure_context(path))
            except FileNotFoundError:
                return None
            except SealBroken:
                # It is rendered again.
                return None

        return await self.threaded(read)

    async def write_figure(self, path: Path, content: bytes) -> None:
        """Write a rendered figure atomically; a reader never sees a part of it.

        Args:
            path: as `figure` returns it.
            content: its bytes.
        """

        def write() -> None:
            private_folder(path.parent, parents=True, exist_ok=True)
            scratch = path.with_name(f".{path.name}.{randomness.token_hex(6)}")
            self.sealing.write_file(scratch, content, _figure_context(path))
            # Before it has its name, by which an empty one would be served after a power failure.
            sync(scratch)
            scratch.replace(path)

        await self.threaded(write)

    async def count_figures(self, analysis_id: str) -> int:
        """Return the number of rendered figures of an analysis."""
        folder = self._root / "figures" / checked_part(analysis_id)
        return await self.threaded(lambda: len(list(folder.glob("[!.]*"))))


def _figure_context(path: Path) -> str:
    return f"figure/{path.parent.name}/{path.name}"


def checked_part(part: str) -> str:
    """Return a part of a path.

    Raises:
        NotFound: no file has such a name.
    """
    if not _SAFE.fullmatch(part):
        raise NotFound(Message("storage.no-such-name", name=part[:80]))
    return part
