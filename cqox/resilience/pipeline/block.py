"""Context managers that guard a block with `with gate:` and `async with gate:`, many at once on one gate."""

import math
from contextvars import ContextVar
from copy import copy
from types import TracebackType
from typing import Self

from cqox.resilience.pipeline.permit import NO_RESULT, Permit, fail_permits, time_spent
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline, unexpired

__all__ = ["GuardedBlock"]


class _EnteredBlock:
    """One block in progress; blocks form a stack in the context of the task or thread."""

    __slots__ = ("began", "below", "deadline", "gate", "permit")

    def __init__(
        self, gate: object, permit: Permit, deadline: AmbientDeadline | None, below: "_EnteredBlock | None"
    ) -> None:
        self.gate = gate
        self.permit = permit
        self.deadline = deadline
        self.began = 0.0 if deadline is None else deadline.clock()
        self.below = below


_entered: ContextVar[_EnteredBlock | None] = ContextVar("cqox_entered_blocks", default=None)


class GuardedBlock:
    """Context manager of a gate. An exception that leaves the block counts like one raised by a guarded function."""

    __slots__ = ()

    def admit(self, deadline: AmbientDeadline | None) -> Permit | None:
        raise NotImplementedError

    async def admit_waiting(self, deadline: AmbientDeadline | None) -> Permit:
        raise NotImplementedError

    def admit_blocking(self, deadline: AmbientDeadline | None) -> Permit:
        raise NotImplementedError

    def __enter__(self) -> Self:
        deadline = unexpired()
        self._push(self.admit(deadline) or self.admit_blocking(deadline), deadline)
        return self

    async def __aenter__(self) -> Self:
        deadline = unexpired()
        self._push(self.admit(deadline) or await self.admit_waiting(deadline), deadline)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        block = self._pop()
        if error is None:
            block.permit.succeed(NO_RESULT)
        else:
            fail_permits([block.permit], 0, error, time_spent(block.deadline, block.began, math.inf, error))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _push(self, permit: Permit, deadline: AmbientDeadline | None) -> None:
        _entered.set(_EnteredBlock(self, permit, deadline, _entered.get()))

    def _pop(self) -> _EnteredBlock:
        block, later = _entered.get(), list[_EnteredBlock]()
        while block is not None and block.gate is not self:
            later.append(block)
            block = block.below
        if block is None:
            raise RuntimeError(f"{self!r}: the block is left in another task than the one that entered it")
        # Generators exit in any order. Later blocks are copied, as other tasks may share the originals.
        below = block.below
        for entered in reversed(later):
            entered = copy(entered)
            entered.below = below
            below = entered
        _entered.set(below)
        return block
