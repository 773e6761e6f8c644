"""Calls that return what stays open, a context or a stream, and keep their permits until it closes.

Only the opening runs through the stage: its attempts, its gates. A permit whose call has returned something open moves
there instead of being settled.
"""

from dataclasses import replace

from cqox.resilience.pipeline.permit import NO_RESULT, NO_STANDING_PERMIT, Admission, Permit, TimeSpent
from cqox.resilience.pipeline.plan import Stage
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline

__all__ = ["Opened", "opening_stage"]


class Opened:
    """Result of an opening, with the permits that it keeps.

    Attributes:
        kept: permits held until it closes, outermost first.
    """

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept: list[Permit] = []

    def keeps(self, permit: Permit) -> bool:
        """Return whether `permit` is held until it closes; by default only a lasting one, such as a slot."""
        return permit.lasting


def opening_stage(stage: Stage) -> Stage:
    """Convert a stage for calls that return an `Opened`; the caller applies its time limit."""
    return replace(
        stage,
        outer=tuple(_OpeningAdmission(gate) for gate in stage.outer),
        inner=tuple(_OpeningAdmission(gate) for gate in stage.inner),
        limit=None,
    )


class _OpeningAdmission:
    """An admission whose permits treat success as an opening."""

    __slots__ = ("_gate",)

    standing = NO_STANDING_PERMIT

    def __init__(self, gate: Admission) -> None:
        self._gate = gate

    def admit(self, deadline: AmbientDeadline | None) -> Permit | None:
        permit = self._gate.admit(deadline)
        return None if permit is None else _OpeningPermit(permit)

    async def admit_waiting(self, deadline: AmbientDeadline | None) -> Permit:
        return _OpeningPermit(await self._gate.admit_waiting(deadline))

    def admit_blocking(self, deadline: AmbientDeadline | None) -> Permit:
        return _OpeningPermit(self._gate.admit_blocking(deadline))


class _OpeningPermit(Permit):
    """A permit that moves to what was opened where that keeps it, and is settled otherwise."""

    __slots__ = ("_permit", "single_attempt")

    def __init__(self, permit: Permit) -> None:
        self._permit = permit
        self.single_attempt = permit.single_attempt

    def succeed(self, value: object) -> None:
        if isinstance(value, Opened) and value.keeps(self._permit):
            value.kept.insert(0, self._permit)  # permits are settled innermost first
        else:
            self._permit.succeed(NO_RESULT)

    def fail(self, error: BaseException) -> None:
        self._permit.fail(error)

    def fail_within_deadline(self, spent: TimeSpent, error: BaseException) -> None:
        self._permit.fail_within_deadline(spent, error)

    def is_current(self) -> bool:
        return self._permit.is_current()
