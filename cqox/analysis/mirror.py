"""Copies of tables that lie elsewhere on the disk of this process, bounded in bytes; they are plain files.

    <table>-<snapshot>.<bytes>/    a whole copy of one snapshot; its time is that of its last use
    .<random>/                     a copy in the making, or one that is being removed

Each is locked by those who use or make it, in this process and in others on the disk: none is removed under them, and
what a killed process has left is recognised. Of several that need one copy, one makes it and the others wait; if that
one leaves, the next one starts. A table that has another snapshot loses its former copies.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock

import anyio
from anyio import CancelScope, CapacityLimiter

from cqox import randomness
from cqox.analysis.key import canonical_json, digest
from cqox.analysis.mirror_copy import MirrorCopy
from cqox.analysis.mirror_folder import Hold, remove_unused
from cqox.contract.messages import Message
from cqox.errors import BulkheadFull, LimitExceeded, StorageFull
from cqox.sources import RemoteTable
from cqox.storage import check_room, unavailable
from cqox.threads import run_in_thread

__all__ = ["Mirror"]

_RETRY_SECONDS = 5.0
_DIGITS = 32
_REPORTED_SHARES = 20
"""Steps that are reported of one copy, about; all of them are kept for those who join later."""

type OnStep = Callable[[Mapping[str, object]], None]


class Mirror:
    """The copies in one folder.

    Args:
        root: the folder, made with the first copy.
        most_bytes: the most that they take, and the largest table that is copied.
        reserve_bytes: space to keep free on the disk; 64 MiB, or a twentieth of a small disk, if None.
    """

    def __init__(self, root: Path, *, most_bytes: int, reserve_bytes: int | None = None) -> None:
        self._root = root
        self._most_bytes = most_bytes
        self._reserve_bytes = reserve_bytes
        self._guard = Lock()
        self._reserved: dict[MirrorCopy, int] = {}
        self._making: dict[str, tuple[anyio.Lock, int]] = {}

    @asynccontextmanager
    async def held(
        self, table: RemoteTable, about: Mapping[str, str], *, limiter: CapacityLimiter, report: OnStep
    ) -> AsyncIterator[Path]:
        """Yield the folder of the copy of a table, which stays there while the block runs; make it where there is none.

        A cancellation ends the copy in the making, whose thread removes it at the end of its block; of a server that
        stands still that is up to half a minute later.

        Args:
            table: what is there.
            about: `source` and `table` by name, for the identity of the copy and for messages.
            limiter: of the threads that copy.
            report: called with the steps `copy`, which have `copied_bytes` and `size_bytes`.

        Raises:
            LimitExceeded: the table is larger than all copies may be.
            BulkheadFull: the copies that are in use leave no space.
            StorageFull: the disk has none.
            SourceUnavailable: the server fails, or the files were changed meanwhile.
        """
        snapshot = table.snapshot
        of_table = digest(canonical_json(dict(about)))[:_DIGITS]
        name = f"{of_table}-{digest(canonical_json([snapshot or randomness.token_hex(16)]))[:_DIGITS]}"
        async with self._alone(name):
            hold = await run_in_thread(self._found, name) if snapshot is not None else None
            if hold is None:
                hold = await self._made(name, table, about, limiter, report)
        try:
            yield hold.folder
        finally:
            hold.release()
            if snapshot is None:
                # Nobody can know that it is still what is there.
                with CancelScope(shield=True):
                    await run_in_thread(remove_unused, hold.folder)

    def tidy(self) -> None:
        """Remove what killed processes have left unfinished, and copies beyond the limit; blocking."""
        for folder in self._folders("."):
            remove_unused(folder)
        with suppress(BulkheadFull):
            self._evict(0)

    def clear(self) -> None:
        """Remove all copies that are not in use; blocking."""
        for folder in self._folders(""):
            remove_unused(folder)

    def _found(self, name: str) -> Hold | None:
        for folder in self._folders(f"{name}."):
            hold = Hold.of(folder)
            if hold is not None:
                with suppress(OSError):
                    os.utime(folder)
                return hold
        return None

    async def _made(
        self, name: str, table: RemoteTable, about: Mapping[str, str], limiter: CapacityLimiter, report: OnStep
    ) -> Hold:
        copy = MirrorCopy(
            table, self._root, name=lambda size: f"{name}.{size}", check=partial(self._check_size, about, table)
        )
        size = table.size_bytes
        self._check_size(about, table, size or 0)
        try:
            await run_in_thread(self._make_room, copy, name, size or 0)
            reported = -1
            while (hold := await run_in_thread(copy.step, limiter=limiter, abandon_on_cancel=True)) is None:
                share = copy.copied_bytes * _REPORTED_SHARES // max(size or self._most_bytes, 1)
                if share > reported:
                    reported = share
                    report({"step": "copy", "copied_bytes": copy.copied_bytes, "size_bytes": size})
        except BaseException:
            # At once where no thread works on it.
            with CancelScope(shield=True):
                await run_in_thread(copy.stop)
            raise
        finally:
            with self._guard:
                self._reserved.pop(copy, None)
        report({"step": "copy", "copied_bytes": copy.copied_bytes, "size_bytes": copy.copied_bytes})
        return hold

    def _check_size(self, about: Mapping[str, str], table: RemoteTable, size: int) -> None:
        if size > self._most_bytes:
            source, name, most = about["source"], about["table"], self._most_bytes
            if table.size_bytes is None:
                message = Message("sources.mirror-too-small", source=source, table=name, size=size, most=most)
            else:
                message = Message("sources.table-too-large", source=source, table=name, size=size, most=most)
            raise LimitExceeded(message, field="table")

    def _make_room(self, copy: MirrorCopy, name: str, size: int) -> None:
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for former in self._folders(f"{name.partition('-')[0]}-"):
                remove_unused(former)
            with self._guard:
                self._evict(size)
                self._reserved[copy] = size
        except OSError as error:
            raise unavailable(error) from error

    def _evict(self, size: int) -> None:
        """Remove the least recently used copies until there is space for another one."""
        copies = self._copies()
        underway = sum(max(bytes_ - copy.copied_bytes, 0) for copy, bytes_ in self._reserved.items())
        lacking = sum(each for _, each, _ in copies) + sum(self._reserved.values()) + size - self._most_bytes
        for _, each, folder in copies:
            if lacking <= 0 and self._has_room(size + underway):
                return
            if remove_unused(folder):
                lacking -= each
        if lacking > 0:
            raise BulkheadFull("mirror", retry_after=_RETRY_SECONDS)
        if size:
            check_room(self._root, self._reserve_bytes, wanted_bytes=size + underway)

    def _has_room(self, wanted_bytes: int) -> bool:
        try:
            check_room(self._root, self._reserve_bytes, wanted_bytes=wanted_bytes)
        except StorageFull:
            return False
        return True

    def _copies(self) -> list[tuple[float, int, Path]]:
        """Return when each copy was last used, and its size, the least recently used one first."""
        found = []
        for folder in self._folders(""):
            size = folder.name.rpartition(".")[2]
            with suppress(OSError):
                if not folder.name.startswith(".") and size.isdecimal():
                    found.append((folder.stat().st_mtime, int(size), folder))
        return sorted(found)

    def _folders(self, start: str) -> Iterator[Path]:
        try:
            return iter([each for each in self._root.iterdir() if each.name.startswith(start)])
        except FileNotFoundError:
            return iter(())

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of a name, which exists while somebody holds or awaits it."""
        lock, users = self._making.get(name, (anyio.Lock(), 0))
        self._making[name] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            _, users = self._making.pop(name)
            if users > 1:
                self._making[name] = lock, users - 1
