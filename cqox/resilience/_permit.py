"""What an admitted call holds, and what a frame asks to get it."""

from typing import ClassVar, Final, Protocol

from cqox.resilience._ambient import Ambient

__all__ = ["NO_RESULT", "Admission", "Permit"]


class _NoResult:
    __slots__ = ()

    def __repr__(self) -> str:
        return "NO_RESULT"


NO_RESULT: Final = _NoResult()
"""The value with which a permit succeeds where there is none to look at: a block, a stream, an opened context."""


class Permit:
    """What a gate hands to one admitted call. Exactly one of `succeed` and `fail` is called, once.

    A gate that needs nothing to be remembered for one call may hand out the same permit to all.
    """

    __slots__ = ()

    lasting: ClassVar[bool] = False
    """True where a guarded context keeps it until its block ends: a slot does, a verdict on the opening does not."""

    single_attempt: bool = False
    """True where the call may make one attempt only, as a probe."""

    def succeed(self, value: object) -> None:
        """The call returned `value`."""

    def fail(self, error: BaseException) -> None:
        """The call ended with `error`: an exception, a cancellation, or the rejection of a part further in."""

    def stands(self) -> bool:
        """False once the gate has changed its mind since the admission; a retry then gives up at once."""
        return True


class Admission(Protocol):
    """What a frame asks at the start of a call. Most gates are their own admission."""

    def admit(self, deadline: Ambient | None) -> Permit | None:
        """Let the call in now.

        Args:
            deadline: the one in force, already looked up.

        Returns:
            The permit; None where the call would have to wait.

        Raises:
            Rejected: it may not go on.
        """
        ...

    async def admit_waiting(self, deadline: Ambient | None) -> Permit:
        """Let the call in, waiting for that; called after `admit` returned None.

        A cancellation while it waits leaves nothing behind.
        """
        ...

    def admit_blocking(self, deadline: Ambient | None) -> Permit:
        """The same for a thread, which waits no longer than the deadline."""
        ...
