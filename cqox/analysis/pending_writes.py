"""Writes that the store has not accepted yet, as an engine exits."""

from collections.abc import Awaitable, Callable

import anyio

__all__ = ["write_pending"]

_PAUSE_SECONDS = 0.2


async def write_pending(
    write: Callable[[], Awaitable[None]], is_pending: Callable[[], bool], *, seconds: float
) -> None:
    """Write until nothing is pending, or `seconds` have passed.

    One attempt is not enough: after an outage it can meet the circuit of the store before the next probe.

    Args:
        write: one attempt, up to its first failure; must not raise.
        is_pending: whether another attempt is needed.
        seconds: time limit of all attempts together.
    """
    with anyio.move_on_after(seconds):
        await write()
        while is_pending():
            await anyio.sleep(_PAUSE_SECONDS)
            await write()
