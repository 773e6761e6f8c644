"""What an exception says about the work that it ended: a failure, a mistake of the client, or no verdict."""

from enum import StrEnum

from cqox.errors import InputError

__all__ = ["Outcome", "error_type", "outcome_of"]


class Outcome(StrEnum):
    """How a piece of work ended."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


def outcome_of(error: BaseException | None) -> Outcome:
    """The outcome: a cancellation is no error, and neither is input that the client has to correct."""
    if error is None:
        return Outcome.SUCCEEDED
    if isinstance(error, BaseExceptionGroup):
        outcomes = {outcome_of(leaf) for leaf in error.exceptions}
        if outcomes == {Outcome.CANCELLED}:
            return Outcome.CANCELLED
        return Outcome.REFUSED if outcomes <= {Outcome.CANCELLED, Outcome.REFUSED} else Outcome.FAILED
    if isinstance(error, InputError):
        return Outcome.REFUSED
    # Cancelled is an Exception on no loop; SystemExit and KeyboardInterrupt end the process and blame nobody.
    return Outcome.FAILED if isinstance(error, Exception) else Outcome.CANCELLED


def error_type(error: BaseException) -> str:
    """The class of an exception; of a group, that of its first leaf, which tells more."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__qualname__
