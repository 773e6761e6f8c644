"""Deadline errors of analyses and jobs; their messages say how to get more time."""

from cqox.contract.messages import Message
from cqox.resilience.propagation.http import REQUEST_TIMEOUT_MS
from services.http.response.error_details import ServiceDeadlineExceeded

__all__ = ["AnalysisTimeUp", "JobTimeUp"]


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
