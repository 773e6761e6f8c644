"""The event loop that runs this code, seen through the four things that a policy asks of it.

Trio is looked up among the imported modules and never imported; on Trio its own scopes are used, which are cheaper than
AnyIO's around them.
"""

import asyncio
import sys
from types import TracebackType
from typing import Any, Protocol, cast

import anyio

__all__ = ["CancelScope", "Loop", "current_loop", "place"]


class CancelScope(Protocol):
    """What a scope of either loop can do."""

    @property
    def cancelled_caught(self) -> bool:
        """True once the scope has ended its block."""
        ...

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None: ...


class Loop(Protocol):
    """The loop in charge of the current task."""

    def time(self) -> float:
        """The time by which scopes are set."""
        ...

    def open_scope(self, at: float) -> CancelScope:
        """A scope that cancels its block at `at`, in the loop's time."""
        ...

    def task(self) -> object:
        """The current task."""
        ...

    def will_cancel_by(self, at: float, task: object, groups: tuple[object, ...]) -> bool:
        """True where the current task is surely cancelled by `at`, through a scope that `task` opened.

        Args:
            at: in the loop's time.
            task: who opened the scope.
            groups: the task groups that were open around the scope, whose tasks run outside of it.
        """
        ...

    def groups_around(self) -> tuple[object, ...]:
        """The task groups that the current task has open, as far as the loop tells."""
        ...


class _AsyncioLoop:
    """asyncio, with AnyIO's scopes. A task that AnyIO did not start counts as detached: nothing tells its scopes."""

    __slots__ = ()

    def time(self) -> float:
        return asyncio.get_running_loop().time()

    def open_scope(self, at: float) -> CancelScope:
        return anyio.CancelScope(deadline=at)

    def task(self) -> object:
        return asyncio.current_task()

    def will_cancel_by(self, at: float, task: object, groups: tuple[object, ...]) -> bool:
        effective = anyio.current_effective_deadline()
        if asyncio.current_task() is task:
            return effective <= at
        # Whose scope an earlier one is cannot be told across tasks, so that only this very moment is proof.
        return effective in (at, -float("inf"))

    def groups_around(self) -> tuple[object, ...]:
        return ()


class _TrioLoop:
    __slots__ = ("_trio", "in_task", "time")

    def __init__(self, trio: Any) -> None:  # noqa: ANN401 - the module is not importable here, so it has no type
        self._trio = trio
        self.in_task = trio.lowlevel.in_trio_task
        self.time = trio.current_time

    def open_scope(self, at: float) -> CancelScope:
        return cast("CancelScope", self._trio.CancelScope(deadline=at))

    def task(self) -> object:
        return self._trio.lowlevel.current_task()

    def will_cancel_by(self, at: float, task: object, groups: tuple[object, ...]) -> bool:
        trio = self._trio
        if trio.current_effective_deadline() > at:
            return False
        current = trio.lowlevel.current_task()
        while current is not task:
            nursery = current.parent_nursery
            if nursery is None or nursery in groups:
                return False
            current = nursery.parent_task
        return True

    def groups_around(self) -> tuple[object, ...]:
        return tuple(self._trio.lowlevel.current_task().child_nurseries)


_asyncio_loop = _AsyncioLoop()
_trio_loop: _TrioLoop | None = None


def current_loop() -> Loop | None:
    """The loop in charge of this task; None outside of a task."""
    global _trio_loop
    if _trio_loop is not None:
        if _trio_loop.in_task():
            return _trio_loop
    elif (trio := sys.modules.get("trio")) is not None and hasattr(trio, "lowlevel"):
        _trio_loop = _TrioLoop(trio)
        if _trio_loop.in_task():
            return _trio_loop
    if asyncio._get_running_loop() is not None and asyncio.current_task() is not None:
        return _asyncio_loop
    return None


def place() -> object:
    """What runs this code: the task, else the loop whose callback it is, else None."""
    loop = current_loop()
    return asyncio._get_running_loop() if loop is None else loop.task()
