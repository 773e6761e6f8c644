"""Calls of a synchronous client, in the loop of its thread."""

import math
from collections.abc import Awaitable, Callable

from cqox.api.portal import Call, OnStep, Portal
from cqox.client.connection import Connection
from cqox.resilience import deadline, remaining

__all__ = ["started"]


def started[T](portal: Portal[Connection], work: Callable[[Connection, OnStep], Awaitable[T]]) -> Call[T]:
    """Start work in the loop of a portal, under the deadline that is in force here."""
    seconds = remaining()

    async def bounded(connection: Connection, on_step: OnStep) -> T:
        with deadline(seconds):
            return await work(connection, on_step)

    return portal.start(work if seconds == math.inf else bounded)
