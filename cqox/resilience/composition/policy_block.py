"""Blocks under a policy: `with policy:` and `async with policy:`.

The body of a block cannot be run again and has no result, so that a policy with a retry, a hedge or a fallback guards
functions only. Timeouts and deadlines are scopes around the block, which must not stay open across a `yield`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from cqox.resilience.pipeline.block import EnteredBlock, pop_block, push_block
from cqox.resilience.pipeline.part import Part, RetryPart, Wrapper
from cqox.resilience.pipeline.permit import NO_RESULT, Permit, fail_permits, time_spent
from cqox.resilience.pipeline.plan import Stage, WrapperStage
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline, unexpired
from cqox.resilience.runtime.event_loop import current_loop
from cqox.resilience.runtime.passing import passing

__all__ = ["PolicyBlocks"]


class PolicyBlocks:
    """Context manager of a policy, which may guard many blocks at once."""

    __slots__ = ()

    name: str
    parts: tuple[Part, ...]

    def _plan(self, asynchronous: bool) -> list[Stage | WrapperStage]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Guard a block: `with policy:`; an exception that leaves it counts as one raised by a guarded function.

        Raises:
            TypeError: the policy has a retry, a hedge or a fallback, which need a function.
        """
        _check_block(self.name, self.parts)
        block = _PolicyBlock(self)
        if not passing.on:
            block.enter_blocking(self._plan(False))
        push_block(block)
        return self

    async def __aenter__(self) -> Self:
        """Guard a block: `async with policy:`. A cancellation while it waits leaves nothing behind.

        Raises:
            TypeError: as for `with policy:`.
        """
        _check_block(self.name, self.parts)
        block = _PolicyBlock(self)
        if not passing.on:
            await block.enter_waiting(self._plan(True))
        push_block(block)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        last = pop_block(self, _PolicyBlock).leave(error)
        if last is not None and last is not error:
            try:
                raise last
            finally:
                del last  # its traceback references this frame

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


def _check_block(policy: str, parts: Sequence[Part]) -> None:
    """Refuse parts that need a function to call.

    Raises:
        TypeError: one of the parts is a retry, a hedge or a fallback.
    """
    for part in parts:
        if isinstance(part, RetryPart):
            raise TypeError(
                f"policy {policy} has a retry, and a block cannot be run again: write `async for attempt in retry` (or "
                f"`for`) and `with attempt` in it, decorate a function, or make one call with `policy.call`"
            )
        if isinstance(part, Wrapper) and part.block() is None:
            raise TypeError(
                f"policy {policy} has a {part.kind.lower()}, which needs a function to call, and not a block: decorate "
                f"a function, or make one call with `policy.call`"
            )


class _HeldPermit:
    """A permit with what its outcome is judged by."""

    __slots__ = ("_attempt_timeout", "_deadline", "_permit", "began")

    def __init__(self, permit: Permit, deadline: AmbientDeadline | None, attempt_timeout: float) -> None:
        self._permit = permit
        self._deadline = deadline
        self._attempt_timeout = attempt_timeout
        self.began: float | None = None

    def begin(self) -> None:
        """Note that the body begins.

        Raises:
            DeadlineExceeded: the deadline has passed meanwhile.
        """
        self.began = 0.0 if self._deadline is None else self._deadline.time_of_call()

    def leave(self, error: BaseException | None) -> None:
        """Settle the permit."""
        if error is None:
            self._permit.succeed(NO_RESULT)
        else:
            spent = time_spent(self._deadline, self.began, self._attempt_timeout, error)
            fail_permits([self._permit], 0, error, spent)


class _OpenScope:
    """The scope of a timeout or deadline."""

    __slots__ = ("_scope",)

    def __init__(self, scope: AbstractContextManager[object]) -> None:
        scope.__enter__()
        self._scope = scope

    def begin(self) -> None:
        """Note that the body begins."""

    def leave(self, error: BaseException | None) -> None:
        """Close the scope.

        Raises:
            AttemptTimeout: its time was over.
            DeadlineExceeded: likewise.
        """
        self._scope.__exit__(
            type(error) if error is not None else None, error, None if error is None else error.__traceback__
        )


class _PolicyBlock(EnteredBlock):
    """One block in progress under a policy."""

    __slots__ = ("_entered",)

    def __init__(self, policy: object) -> None:
        super().__init__(policy)
        self._entered: list[_HeldPermit | _OpenScope] = []

    async def enter_waiting(self, stages: Sequence[Stage | WrapperStage]) -> None:
        """Enter all stages, outermost first. A cancellation while it waits leaves nothing behind."""
        try:
            for stage in stages:
                deadline = unexpired()
                if isinstance(stage, Stage):
                    for gate in stage.outer:
                        self._hold(gate.admit(deadline) or await gate.admit_waiting(deadline), deadline, stage)
                self._open_scope(stage, deadline)
            self._begin()
        except BaseException as error:
            self.leave(error)
            raise

    def enter_blocking(self, stages: Sequence[Stage | WrapperStage]) -> None:
        """Synchronous twin of `enter_waiting`."""
        try:
            for stage in stages:
                deadline = unexpired()
                if isinstance(stage, Stage):
                    for gate in stage.outer:
                        self._hold(gate.admit(deadline) or gate.admit_blocking(deadline), deadline, stage)
                self._open_scope(stage, deadline)
            self._begin()
        except BaseException as error:
            self.leave(error)
            raise

    def leave(self, error: BaseException | None) -> BaseException | None:
        """Leave all stages, innermost first, each with the error that comes from further in; return the last one."""
        while self._entered:
            try:
                self._entered.pop().leave(error)
            except BaseException as raised:  # noqa: BLE001 - the stages further out get it, and then the caller
                error = raised
        return error

    def _hold(self, permit: Permit, deadline: AmbientDeadline | None, stage: Stage) -> None:
        self._entered.append(_HeldPermit(permit, deadline, stage.facts.attempt_timeout))

    def _open_scope(self, stage: Stage | WrapperStage, deadline: AmbientDeadline | None) -> None:
        scope: AbstractContextManager[object] | None = None
        if isinstance(stage, WrapperStage):
            scope = stage.wrapper.block()
        elif stage.limit is not None:
            now = 0.0 if deadline is None else deadline.clock()
            # Also a plain `with` can be left by a cancellation, if it is in a task.
            bound = stage.limit.bound_blocking if current_loop() is None else stage.limit.bound
            scope = bound(deadline, now)
        if scope is not None:
            self._entered.append(_OpenScope(scope))

    def _begin(self) -> None:
        for entered in self._entered:
            entered.begin()
