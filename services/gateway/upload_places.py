"""Bulkhead slots for uploads, held only while their bytes flow.

An upload takes its slot once its first bytes, or all of a short file, have arrived. It releases the slot when it stalls
and takes one again when it resumes, so that a stalled client does not block others. Tenants share slots and queue
fairly.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Hashable, Mapping

import trio

from cqox.errors import BulkheadFull
from cqox.resilience import Criticality, Shed, registry
from cqox.resilience.limits.fair_bulkhead import FairBulkhead
from cqox.resilience.runtime.caller import caller

__all__ = ["UploadPlace", "UploadPlaces"]

_FIRST_BYTES = 2**16
_AGAIN_SECONDS = 10.0
"""Longest wait of a resumed upload for a slot; after that the engine would treat it as stalled."""


class UploadPlaces:
    """A bulkhead and load shedder for uploads, listed in the registry.

    Args:
        name: their name in rejections and metrics.
        running: number of slots.
        queued: most uploads that wait for a slot.
        shares: share of both that each level of criticality may use of one tenant's.
    """

    def __init__(self, name: str, *, running: int, queued: int, shares: Mapping[Criticality, float]) -> None:
        self.bulkhead = FairBulkhead(running, queued, name=name)
        self.shed = Shed(running + queued, shares=shares, load=self.bulkhead.load, name=name)
        registry.add(f"{name} places", self.bulkhead)

    def place(self, tenant: Hashable = None) -> "UploadPlace":
        """Return the slot of one upload of a tenant, not taken yet."""
        return UploadPlace(self, tenant)


class UploadPlace:
    """The slot of one upload; for one task."""

    def __init__(self, places: UploadPlaces, tenant: Hashable = None) -> None:
        self._places = places
        self._tenant = tenant
        self.held = False

    async def take(self) -> None:
        """Take a slot, waiting in the queue for one; do nothing where it is held already.

        Raises:
            BulkheadFull: the slots and the queue are full.
            Shed: the call is too uncritical for the load.
        """
        if self.held:
            return
        shed, bulkhead = self._places.shed, self._places.bulkhead
        # The reader of the body may run in another context than the request.
        with caller(self._tenant):
            await shed.__aenter__()
            try:
                await bulkhead.__aenter__()
            except BaseException as error:
                shed.__exit__(type(error), error, error.__traceback__)
                raise
        self.held = True

    def leave(self) -> None:
        """Release the slot to the next upload."""
        if self.held:
            self.held = False
            self._places.bulkhead.__exit__(None, None, None)
            self._places.shed.__exit__(None, None, None)

    async def admitted(self, content: AsyncIterable[bytes], moved: Callable[[], None]) -> AsyncGenerator[bytes]:
        """Take the slot as soon as the content flows; return the content from its first byte.

        Args:
            content: the bytes as they arrive.
            moved: called whenever some have arrived.

        Raises:
            BulkheadFull: there is no slot; the returned generator raises it where none is free after a stall.
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
            # The slots bound the engine's work on complete files.
            await self._take_again()

        return flow()

    async def _take_again(self) -> None:
        with trio.move_on_after(_AGAIN_SECONDS) as patience:
            await self.take()
        if patience.cancelled_caught:
            raise BulkheadFull(self._places.bulkhead.name, retry_after=1.0)
