"""Calls that take, hold and await slots of a bulkhead."""

import anyio
import anyio.lowlevel
import anyio.to_thread

from cqox.errors import BulkheadFull
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.runtime.ambient_deadline import in_force
from cqox.resilience.runtime.criticality import Criticality, criticality

__all__ = ["counts", "hold", "queue_up", "take", "take_blocking"]


def counts(bulkhead: Bulkhead) -> tuple[int, int]:
    snapshot = bulkhead.snapshot()
    return snapshot.running, snapshot.queued


async def take(bulkhead: Bulkhead) -> None:
    """Take a slot and keep it, as a call does that never ends."""
    bulkhead.admit(None) or await bulkhead.admit_waiting(None)


def take_blocking(bulkhead: Bulkhead) -> None:
    innermost = in_force()
    bulkhead.admit(innermost) or bulkhead.admit_blocking(innermost)


async def hold(bulkhead: Bulkhead, release: anyio.Event, order: list[str], name: str) -> None:
    async with bulkhead:
        order.append(name)
        await release.wait()


async def queue_up(bulkhead: Bulkhead, order: list[str], name: str, level: Criticality = Criticality.CRITICAL) -> None:
    with criticality(level):
        try:
            async with bulkhead:
                order.append(name)
                await anyio.lowlevel.checkpoint()
        except BulkheadFull:
            order.append(f"{name} refused")
