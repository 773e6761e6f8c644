"""Deadline errors of analyses, jobs and readings of tables in place; their messages say how to get more time."""

from cqox.contract.messages import Message
from cqox.resilience.propagation.http import REQUEST_TIMEOUT_MS
from services.http.response.error_details import ServiceDeadlineExceeded

__all__ = ["AnalysisTimeUp", "JobTimeUp", "TableTimeUp"]


class AnalysisTimeUp(ServiceDeadlineExceeded):
    """A synchronous analysis exceeded the deadline of its request.

    Args:
        seconds: the time granted.
        most: the longest time that a request may ask for, in seconds.
    """

    def __init__(self, seconds: float, *, most: float) -> None:
        header, milliseconds = REQUEST_TIMEOUT_MS, most * 1000
        super().__init__(
            seconds,
            Message("problems.deadline-analysis-asked", header=header, seconds=seconds, milliseconds=milliseconds)
            if seconds < most
            else Message(
                "problems.deadline-analysis-granted", header=header, seconds=seconds, milliseconds=milliseconds
            ),
        )


class JobTimeUp(ServiceDeadlineExceeded):
    """A job exceeded the deadline of jobs, which its request cannot change."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, Message("problems.deadline-of-job", header=REQUEST_TIMEOUT_MS, seconds=seconds))


class TableTimeUp(ServiceDeadlineExceeded):
    """A preview or the roles of a table in place exceeded the deadline of the request.

    Args:
        seconds: the time granted.
        most: the longest time that a request may ask for, in seconds.
    """

    def __init__(self, seconds: float, *, most: float) -> None:
        said = Message(
            "problems.deadline-in-place", header=REQUEST_TIMEOUT_MS, seconds=seconds, milliseconds=most * 1000
        )
        super().__init__(seconds, said)
