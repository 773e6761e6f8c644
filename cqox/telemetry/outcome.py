"""Classification of exceptions by outcome: failure, client error, or cancellation."""

from enum import StrEnum

from cqox.errors import InputError

__all__ = ["Outcome", "error_type", "outcome_of"]


class Outcome(StrEnum):
    """Outcome of an operation."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


def outcome_of(error: BaseException | None) -> Outcome:
    """Classify an exception; cancellations and invalid input are not errors of the service."""
    if error is None:
        return Outcome.SUCCEEDED
    if isinstance(error, BaseExceptionGroup):
        outcomes = {outcome_of(leaf) for leaf in error.exceptions}
        if outcomes == {Outcome.CANCELLED}:
            return Outcome.CANCELLED
        return Outcome.REFUSED if outcomes <= {Outcome.CANCELLED, Outcome.REFUSED} else Outcome.FAILED
    if isinstance(error, InputError):
        return Outcome.REFUSED
    # Cancellations derive from BaseException on every loop; SystemExit and KeyboardInterrupt end the process.
    return Outcome.FAILED if isinstance(error, Exception) else Outcome.CANCELLED


def error_type(error: BaseException) -> str:
    """Return the class name of an exception; for a group that of its first leaf, which is more specific."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__qualname__
