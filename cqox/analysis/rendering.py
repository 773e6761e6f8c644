"""Figures of one tenant as pictures: each is rendered once, by a worker, and stored.

The first figure of a worker may take longer than its request waits, and the process of a rendering that is cancelled is
killed: then each retry would begin with a new process. So a rendering is a task of a group that outlives requests, and
is finished although its requests have left; its file is there for the retry.

Invariants: equal requests share one rendering; at most one rendering of the tenant has no request that waits for it.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import anyio

from cqox import telemetry
from cqox.analysis.log_throttle import Outage
from cqox.analysis.single_flight import fresh
from cqox.analysis.workers import Reply
from cqox.errors import StoreUnavailable
from cqox.storage import TenantFiles
from cqox.tasks import TaskGroup

__all__ = ["Pictures", "Rendering"]


class _Runs(Protocol):
    async def run(self, name: str, arguments: Mapping[str, object]) -> Reply: ...


class _Drawing:
    """A rendering that is under way."""

    __slots__ = ("failure", "finished", "picture", "scope", "waiters")

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.finished = anyio.Event()
        self.waiters = 0
        self.picture = b""
        self.failure: Exception | None = None


class Rendering:
    """Runs one rendering per key at a time, and finishes one that nobody waits for any more.

    Args:
        group: task group of the renderings; it must outlive every request, and its end is theirs.
    """

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._drawings: dict[str, _Drawing] = {}

    def __len__(self) -> int:
        return len(self._drawings)

    async def join(self, key: str, render: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return what `render` returns, called once for all that ask for this key at the same time.

        A cancellation leaves the rendering, which is finished; where another one without a waiter is under way, it is
        cancelled.

        Raises:
            Exception: the error of `render`, a separate object for each caller with the original as its cause.
        """
        drawing = self._drawings.get(key)
        if drawing is None:
            drawing = _Drawing()
            # A task of the app's group; its span still belongs to the caller that started it.
            with telemetry.waited_for():
                self._group.start_soon(self._run, key, drawing, render, name="rendering")
            self._drawings[key] = drawing
        drawing.waiters += 1
        try:
            await drawing.finished.wait()
        finally:
            drawing.waiters -= 1
            if not drawing.waiters and not drawing.finished.is_set():
                self._abandon(key, drawing)
        if drawing.failure is not None:
            raise fresh(drawing.failure) from drawing.failure
        return drawing.picture

    def _abandon(self, key: str, drawing: _Drawing) -> None:
        if any(not other.waiters for other in self._drawings.values() if other is not drawing):
            # New callers must not join a rendering that is being cancelled.
            del self._drawings[key]
            drawing.scope.cancel("another rendering without a waiter is under way")

    async def _run(self, key: str, drawing: _Drawing, render: Callable[[], Awaitable[bytes]]) -> None:
        try:
            with drawing.scope:
                drawing.picture = await render()
            if drawing.scope.cancelled_caught:
                telemetry.current_span().cancel()
        except Exception as error:  # noqa: BLE001 - the supervised root of a rendering: each waiter is given it
            drawing.failure = error
        finally:
            if self._drawings.get(key) is drawing:
                del self._drawings[key]
        drawing.finished.set()


class Pictures:
    """Rendered figures of one tenant.

    Args:
        group: task group of the renderings.
        pool: the worker processes.
        files: the files of the tenant.
        is_held: returns whether there is a report with this id.
    """

    def __init__(
        self, *, group: TaskGroup, pool: _Runs, files: TenantFiles, is_held: Callable[[str], Awaitable[bool]]
    ) -> None:
        self._pool = pool
        self._files = files
        self._is_held = is_held
        self._rendering = Rendering(group)
        self._unkept = Outage("A figure could not be stored")

    async def picture(
        self, key: str, name: str, spec: Callable[[], Mapping[str, object]], *, file: str, suffix: str
    ) -> bytes:
        """Return a figure as the file that is stored, or render and store it.

        Args:
            key: id of the report.
            name: name of the figure.
            spec: returns its specification; called where it is rendered.
            file: what the name of its file ends with, such as `ja.svg`.
            suffix: `svg` or `png`.

        A cancellation leaves the rendering, see `Rendering.join`.
        """
        path = self._files.figure(key, name, file)
        with self._without_keeping(key, name):
            stored = await self._files.read_figure(path)
            if stored is not None:
                return stored

        async def render() -> bytes:
            rendered = (await self._pool.run("render", {"spec": spec(), "format": suffix})).payload
            with self._without_keeping(key, name):
                await self._files.check_room()
                await self._files.write_figure(path, rendered)
                self._unkept.recovered()
                if not await self._is_held(key):
                    # The report was deleted while the figure was rendered.
                    await self._files.erase(key)
            return rendered

        return await self._rendering.join(str(path), render)

    @contextmanager
    def _without_keeping(self, key: str, name: str) -> Iterator[None]:
        # A rendered figure can be returned even if it cannot be stored.
        try:
            yield
        except StoreUnavailable as error:
            self._unkept.failed("The figure %s of %s was rendered and could not be stored: %s", name, key, error)
