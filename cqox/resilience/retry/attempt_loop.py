"""Attempts of a block: `for attempt in retry:` or `async for attempt in retry:`, with `with attempt:` around the block.

The iterators decide and pause between the attempts. No scope and no context variable outlasts a `with attempt:`, so
that a loop that is left early leaves nothing behind.
"""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextvars import Token
from types import TracebackType
from typing import Self

from cqox.resilience.pipeline.part import AttemptController
from cqox.resilience.runtime.ambient_deadline import unexpired
from cqox.resilience.runtime.call_context import attempt_made, call_key
from cqox.resilience.runtime.passing import passing

__all__ = ["AsyncAttempts", "Attempt", "BlockingAttempts"]


class Attempt:
    """One attempt of a block: `with attempt:`. An exception after which another attempt follows ends the block quietly.

    Attributes:
        number: its number, from 1.
    """

    __slots__ = ("_attempts", "_key", "_made", "_token", "entered", "number")

    def __init__(self, attempts: "_Attempts", number: int, made: int) -> None:
        """Args:
        attempts: the iterator that it belongs to.
        number: its number, from 1.
        made: earlier attempts of the call, as the callee sees them.
        """
        self._attempts = attempts
        self._made = made
        self._token: Token[int] | None = None
        self._key: Token[str | None] | None = None
        self.number = number
        self.entered = False

    def __enter__(self) -> Self:
        if self.entered:
            raise RuntimeError("an attempt serves one block: take the next of the loop")
        self.entered = True
        if self.number > 1:
            self._token = attempt_made.set(self._made)
        if self._attempts.key is not None:
            self._key = call_key.set(self._attempts.key)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self._key is not None:
            call_key.reset(self._key)
        if self._token is not None:
            attempt_made.reset(self._token)
        return self._attempts.ended(error)

    def __repr__(self) -> str:
        return f"<Attempt {self.number}>"


class _Attempts:
    """The attempts of one block.

    Attributes:
        key: idempotency key of all attempts, None where they have none.
    """

    __slots__ = ("_attempt", "_controller", "_delay", "key")

    def __init__(self, controller: AttemptController, *, gives_key: bool) -> None:
        """Args:
        controller: decides on further attempts.
        gives_key: True to give all attempts one idempotency key, unless the block is in a call that has one.
        """
        self._controller = controller
        self._attempt: Attempt | None = None
        self._delay: float | None = None
        self.key = str(uuid.uuid4()) if gives_key and call_key.get() is None else None

    def ended(self, error: BaseException | None) -> bool:
        """Decide after an attempt that ended with `error`; return whether another follows."""
        if isinstance(error, Exception) and not passing.on:
            self._delay = self._controller.after(error)
        return self._delay is not None

    def _take_delay(self) -> float | None:
        """Return the pause before the next attempt, None where there is none to make.

        Raises:
            RuntimeError: the last attempt was not entered.
        """
        assert self._attempt is not None
        if not self._attempt.entered:
            raise RuntimeError("an attempt was not used: write `with attempt:` around what it tries")
        delay, self._delay = self._delay, None
        return delay

    def _first(self) -> Attempt:
        unexpired()
        self._attempt = Attempt(self, 1, 0)
        return self._attempt

    def _next(self) -> Attempt:
        assert self._attempt is not None
        made = attempt_made.get()
        self._controller.end()
        self._attempt = Attempt(self, self._attempt.number + 1, made)
        return self._attempt


class BlockingAttempts(_Attempts, Iterator[Attempt]):
    """Attempts of a block in synchronous code; the thread pauses between them."""

    __slots__ = ()

    def __next__(self) -> Attempt:
        if self._attempt is None:
            return self._first()
        delay = self._take_delay()
        if delay is None:
            raise StopIteration
        self._controller.pause_blocking(delay)
        return self._next()


class AsyncAttempts(_Attempts, AsyncIterator[Attempt]):
    """Attempts of a block in a task; a cancellation ends the pause and the loop."""

    __slots__ = ()

    async def __anext__(self) -> Attempt:
        if self._attempt is None:
            return self._first()
        delay = self._take_delay()
        if delay is None:
            raise StopAsyncIteration
        await self._controller.pause(delay)
        return self._next()
