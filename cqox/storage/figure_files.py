"""Rendered figures of one tenant, which are rendered again where they are missing.

figures/<analysis id>/<name>.svg
"""

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cqox import randomness
from cqox.contract.messages import Message
from cqox.encryption import SealBroken
from cqox.errors import NotFound
from cqox.storage.file_operations import remove, sync
from cqox.storage.private import private_folder
from cqox.storage.tenant_files import TenantFiles

__all__ = ["FigureFiles", "checked_part", "figure_context"]

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


class FigureFiles(TenantFiles):
    """Rendered figures of one tenant on the disk; see `TenantFiles`."""

    @abstractmethod
    def listed(self, name: str) -> Sequence[Path]:
        """Return the entries of one of the folders."""

    async def drawn(self) -> Mapping[str, float]:
        """See `TenantFiles`."""

        def find() -> dict[str, float]:
            found = dict[str, float]()
            for path in self.listed("figures"):
                with suppress(FileNotFoundError):
                    found[path.name] = path.stat().st_mtime
            return found

        return await self.threaded(find)

    async def erase(self, analysis_id: str) -> None:
        """See `TenantFiles`."""
        folder = self._root / "figures" / checked_part(analysis_id)

        def erase() -> None:
            if folder.exists():
                remove(folder)
                # They may show personal data: a power failure must not bring them back.
                sync(folder.parent)

        await self.threaded(erase)

    def figure(self, analysis_id: str, name: str, suffix: str) -> Path:
        """See `TenantFiles`."""
        return self._root / "figures" / checked_part(analysis_id) / f"{checked_part(name)}.{checked_part(suffix)}"

    async def read_figure(self, path: Path) -> bytes | None:
        """See `TenantFiles`."""

        def read() -> bytes | None:
            try:
                return self.sealing.read_file(path, figure_context(path))
            except FileNotFoundError:
                return None
            except SealBroken:
                # It is rendered again.
                return None

        return await self.threaded(read)

    async def write_figure(self, path: Path, content: bytes) -> None:
        """See `TenantFiles`."""

        def write() -> None:
            private_folder(path.parent, parents=True, exist_ok=True)
            scratch = path.with_name(f".{path.name}.{randomness.token_hex(6)}")
            self.sealing.write_file(scratch, content, figure_context(path))
            # Before it has its name, by which an empty one would be served after a power failure.
            sync(scratch)
            scratch.replace(path)

        await self.threaded(write)

    async def count_figures(self, analysis_id: str) -> int:
        """See `TenantFiles`."""
        folder = self._root / "figures" / checked_part(analysis_id)
        return await self.threaded(lambda: len(list(folder.glob("[!.]*"))))


def figure_context(path: Path) -> str:
    """Return what the bytes of a rendered figure are sealed as."""
    return f"figure/{path.parent.name}/{path.name}"


def checked_part(part: str) -> str:
    """Return a part of a path.

    Raises:
        NotFound: no file has such a name.
    """
    if not _SAFE.fullmatch(part):
        raise NotFound(Message("storage.no-such-name", name=part[:80]))
    return part
