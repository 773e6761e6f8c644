"""The attempts of one call after its first failure: one decision, and one loop for tasks and threads each.

`Attempts` decides without waiting or calling; `repeat` and `repeat_blocking` wait and call. The first attempt is made
in the frame of the call (`executor`), so that a call that succeeds pays for none of this. Attempts run outside of any
`except` block, so that a rejection has no context and a failed attempt keeps nothing alive.
"""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cqox.resilience.pipeline.part import AttemptController
from cqox.resilience.pipeline.permit import Permit, TimeSpent, fail_permits, time_spent
from cqox.resilience.pipeline.plan import Stage, enclosing
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline

__all__ = ["Attempts", "judge_first", "repeat", "repeat_and_settle", "repeat_blocking"]


class Attempts:
    """The failed attempts of one call, and whether another follows.

    Attributes:
        stage: the stage of the call.
        deadline: the deadline in force.
        held: permits of the call; those of the current attempt come last.
        spent: time that the callee had in all attempts; None without a deadline, and while another attempt follows.
        delay: pause before the next attempt, in seconds.
    """

    __slots__ = ("_base", "_worked", "controller", "deadline", "delay", "held", "spent", "stage")

    def __init__(self, stage: Stage, deadline: AmbientDeadline | None, held: list[Permit], base: int) -> None:
        """Args:
        stage: the stage of the call.
        deadline: the deadline in force.
        held: permits of the call.
        base: number of permits that every attempt leaves in place.
        """
        self.stage = stage
        self.deadline = deadline
        self.held = held
        self.spent: TimeSpent | None = None
        self.delay = self._worked = 0.0
        self._base = base
        self.controller: AttemptController | None = None

    def failed(self, error: BaseException, began: float | None) -> bool:
        """Settle the permits of an attempt that ended with `error`, and return whether another follows after `delay`.

        Args:
            error: exception that ended the attempt.
            began: time at which the callee was called, None where it was not.
        """
        stage, spent = self.stage, None
        if self.deadline is not None:
            spent = time_spent(self.deadline, began, stage.facts.attempt_timeout, error)
            if spent is not None:
                self._worked += spent.seconds
            # An attempt that ended before the callee was called, in a queue, takes nothing from what it had before.
            if spent is not None or self._worked > 0:
                self.spent = TimeSpent(self.deadline, self._worked, stage.facts.attempt_timeout)
        if len(self.held) > self._base:
            fail_permits(self.held, self._base, error, spent)
        if stage.retry is None or not isinstance(error, Exception):
            return False
        if self.controller is None:
            further_out = () if stage.first else enclosing.get()
            self.controller = stage.retry.judge(
                (*itertools.chain(*further_out), *self.held), stage.facts, stage.function
            )
        delay = self.controller.after(error, called=began is not None)
        if delay is None:
            return False
        self.delay, self.spent = delay, None
        return True


def judge_first(
    stage: Stage, deadline: AmbientDeadline | None, permit: Permit, error: BaseException, began: float
) -> Attempts | None:
    """Return the attempts of a call whose first one ended with `error`; None where none follows, with `permit` settled.

    Args:
        stage: the stage of the call.
        deadline: the deadline in force.
        permit: the permit of its only gate, which is outside of the retry.
        error: exception that ended the attempt.
        began: time at which the callee was called.
    """
    if stage.retry is None:
        if deadline is None:
            permit.fail(error)
        elif (spent := time_spent(deadline, began, stage.facts.attempt_timeout, error)) is not None:
            permit.fail_within_deadline(spent, error)
        return None
    held = [permit]
    attempts = Attempts(stage, deadline, held, 1)
    try:
        if attempts.failed(error, began):
            return attempts
    except BaseException as raised:
        fail_permits(held, 0, raised, attempts.spent)
        raise
    fail_permits(held, 0, error, attempts.spent)
    return None


async def repeat(
    attempts: Attempts, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:  # noqa: ANN401 - the callee's result
    """Make further attempts until one succeeds, whose permits stay held, or none may follow."""
    deadline, held, controller = attempts.deadline, attempts.held, attempts.controller
    inner, limit = attempts.stage.inner, attempts.stage.limit
    assert controller is not None
    try:
        while True:
            await controller.pause(attempts.delay)
            began = None
            try:
                for gate in inner:
                    held.append(gate.admit(deadline) or await gate.admit_waiting(deadline))
                began = 0.0 if deadline is None else deadline.time_of_call()
                bound = None if limit is None else limit.bound(deadline, began)
                if bound is None:
                    return await function(*args, **kwargs)
                with bound:
                    return await function(*args, **kwargs)
            except BaseException as error:
                if not attempts.failed(error, began):
                    raise
    finally:
        controller.end()


async def repeat_and_settle(
    attempts: Attempts, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:  # noqa: ANN401 - the callee's result
    """Make further attempts like `repeat`, and settle the permits of the call."""
    held = attempts.held
    try:
        result = await repeat(attempts, function, args, kwargs)
        while held:
            held.pop().succeed(result)
    except BaseException as error:
        fail_permits(held, 0, error, attempts.spent)
        raise
    return result


def repeat_blocking(
    attempts: Attempts, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:  # noqa: ANN401 - the callee's result
    """Synchronous twin of `repeat`."""
    deadline, held, controller = attempts.deadline, attempts.held, attempts.controller
    inner, limit = attempts.stage.inner, attempts.stage.limit
    assert controller is not None
    try:
        while True:
            controller.pause_blocking(attempts.delay)
            began = None
            try:
                for gate in inner:
                    held.append(gate.admit(deadline) or gate.admit_blocking(deadline))
                began = 0.0 if deadline is None else deadline.time_of_call()
                bound = None if limit is None else limit.bound_blocking(deadline, began)
                if bound is None:
                    return function(*args, **kwargs)
                with bound:
                    return function(*args, **kwargs)
            except BaseException as error:
                if not attempts.failed(error, began):
                    raise
    finally:
        controller.end()
