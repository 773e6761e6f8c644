"""Context managers that guard a block with `with gate:` and `async with gate:`, many at once on one gate."""

import math
from contextvars import ContextVar
from copy import copy
from types import TracebackType
from typing import Self

from cqox.resilience.pipeline.permit import NO_RESULT, Permit, fail_permits, time_of_call, time_spent
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline, unexpired
from cqox.resilience.runtime.passing import passing

__all__ = ["EnteredBlock", "GuardedBlock", "pop_block", "push_block"]


class EnteredBlock:
    """One block in progress; blocks form a stack in the context of the task or thread.

    Attributes:
        owner: the context manager, which may guard many blocks at once.
        below: the block that was entered before.
    """

    __slots__ = ("below", "owner")

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.below: EnteredBlock | None = None


_entered: ContextVar[EnteredBlock | None] = ContextVar("cqox_entered_blocks", default=None)


def push_block(block: EnteredBlock) -> None:
    """Put `block` on the stack."""
    block.below = _entered.get()
    _entered.set(block)


def pop_block[B: EnteredBlock](owner: object, kind: type[B]) -> B:
    """Take the latest block of `owner` from the stack.

    Raises:
        RuntimeError: there is none in the context of this task or thread.
    """
    block, later = _entered.get(), list[EnteredBlock]()
    while block is not None and block.owner is not owner:
        later.append(block)
        block = block.below
    if not isinstance(block, kind):
        raise RuntimeError(f"{owner!r}: the block is left in another task than the one that entered it")
    # Generators exit in any order. Later blocks are copied, as other tasks may share the originals.
    below = block.below
    for entered in reversed(later):
        entered = copy(entered)
        entered.below = below
        below = entered
    _entered.set(below)
    return block


class _GateBlock(EnteredBlock):
    """One block in progress under a gate."""

    __slots__ = ("began", "deadline", "permit")

    def __init__(self, gate: object, permit: Permit, deadline: AmbientDeadline | None) -> None:
        super().__init__(gate)
        self.permit = permit
        self.deadline = deadline
        self.began = 0.0 if deadline is None else time_of_call(deadline, permit)


_NO_GATE = Permit()


class GuardedBlock:
    """Context manager of a gate. An exception that leaves the block counts like one raised by a guarded function.

    Entering it raises `DeadlineExceeded` where the deadline passes before the block begins.
    """

    __slots__ = ()

    def admit(self, deadline: AmbientDeadline | None) -> Permit | None:
        raise NotImplementedError

    async def admit_waiting(self, deadline: AmbientDeadline | None) -> Permit:
        raise NotImplementedError

    def admit_blocking(self, deadline: AmbientDeadline | None) -> Permit:
        raise NotImplementedError

    def __enter__(self) -> Self:
        deadline = unexpired()
        permit = _NO_GATE if passing.on else self.admit(deadline) or self.admit_blocking(deadline)
        push_block(_GateBlock(self, permit, deadline))
        return self

    async def __aenter__(self) -> Self:
        deadline = unexpired()
        permit = _NO_GATE if passing.on else self.admit(deadline) or await self.admit_waiting(deadline)
        push_block(_GateBlock(self, permit, deadline))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        block = pop_block(self, _GateBlock)
        if error is None:
            block.permit.succeed(NO_RESULT)
        else:
            fail_permits([block.permit], 0, error, time_spent(block.deadline, block.began, math.inf, error))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
