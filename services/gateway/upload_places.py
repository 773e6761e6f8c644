"""Places for uploads, which only those hold whose bytes flow.

An upload takes its place once its first bytes or all of a short one are there, loses it where it stalls, and takes one
again when it goes on: a client that stands still keeps nobody out.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping

import trio

from cqox.errors import BulkheadFull
from cqox.resilience import Criticality, Shed, registry
from cqox.resilience.limits.bulkhead import Bulkhead

__all__ = ["UploadPlace", "UploadPlaces"]

_FIRST_BYTES = 2**16
_AGAIN_SECONDS = 10.0
"""How long an upload that goes on may wait for a place; the engine would take it for a stalled one."""


class UploadPlaces:
    """So many uploads at once, and so many that wait; an operator finds them in the registry.

    Args:
        name: what rejections and measures call them.
        running: how many there are.
        queued: how many uploads may wait for one.
        shares: how much of both each level of criticality may use.
    """

    def __init__(self, name: str, *, running: int, queued: int, shares: Mapping[Criticality, float]) -> None:
        self.shed = Shed(running + queued, shares=shares, name=name)
        self.bulkhead = Bulkhead(running, queued, name=name)
        registry.add(f"{name} places", self.bulkhead)

    def place(self) -> "UploadPlace":
        """The place of one upload, not taken yet."""
        return UploadPlace(self)


class UploadPlace:
    """The place of one upload; for one task."""

    def __init__(self, places: UploadPlaces) -> None:
        self._places = places
        self.held = False

    async def take(self) -> None:
        """Have a place, waiting for one in the queue; nothing happens where it is held.

        Raises:
            BulkheadFull: the queue is full too.
            Shed: the call is too uncritical for the load.
        """
        if self.held:
            return
        shed, bulkhead = self._places.shed, self._places.bulkhead
        await shed.__aenter__()
        try:
            await bulkhead.__aenter__()
        except BaseException as error:
            shed.__exit__(type(error), error, error.__traceback__)
            raise
        self.held = True

    def leave(self) -> None:
        """Give the place to the next."""
        if self.held:
            self.held = False
            self._places.bulkhead.__exit__(None, None, None)
            self._places.shed.__exit__(None, None, None)

    async def admitted(self, content: AsyncIterable[bytes], moved: Callable[[], None]) -> AsyncGenerator[bytes]:
        """Take the place as soon as the content flows; return it, to be sent on from its first byte.

        Args:
            content: the bytes as they arrive.
            moved: called whenever some have come.

        Raises:
            BulkheadFull: there is no place; so does what is returned, where it cannot be had again after a stall.
            Shed: likewise.
        """
        source, first, size_bytes = aiter(content), list[bytes](), 0
        while size_bytes < _FIRST_BYTES and (data := await anext(source, None)) is not None:
            moved()
            first.append(data)
            size_bytes += len(data)
        await self.take()

        async def flow() -> AsyncGenerator[bytes]:
            for piece in first:
                yield piece
                moved()
            async for piece in source:
                moved()
                await self._take_again()
                yield piece
                moved()
            # What the engine does with the whole of it is what the places are for.
            await self._take_again()

        return flow()

    async def _take_again(self) -> None:
        with trio.move_on_after(_AGAIN_SECONDS) as patience:
            await self.take()
        if patience.cancelled_caught:
            raise BulkheadFull(self._places.bulkhead.name, retry_after=1.0)
