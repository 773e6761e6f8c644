"""Deadline errors of analyses and jobs; their messages say how to get more time."""

from cqox.errors import DeadlineExceeded
from cqox.resilience.propagation.http import REQUEST_TIMEOUT_MS

__all__ = ["AnalysisTimeUp", "JobTimeUp"]


class AnalysisTimeUp(DeadlineExceeded):
    """A synchronous analysis exceeded the deadline of its request.

    Args:
        seconds: the time granted.
        most: the longest time that a request may ask for, in seconds.
    """

    seconds: float

    def __init__(self, seconds: float, *, most: float) -> None:
        super().__init__(seconds)
        self.most = most

    def __str__(self) -> str:
        asked = "The request asked for no more" if self.seconds < self.most else "No request is granted more"
        return (
            f"The deadline of {self.seconds:g} s has passed. {asked}: {REQUEST_TIMEOUT_MS} may say up to "
            f"{self.most * 1000:.0f} here. With 'Prefer: respond-async' an analysis becomes a job, which has longer."
        )


class JobTimeUp(DeadlineExceeded):
    """A job exceeded the deadline of jobs, which its request cannot change."""

    seconds: float

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)

    def __str__(self) -> str:
        return (
            f"The deadline of {self.seconds:g} s for an analysis in the background has passed; {REQUEST_TIMEOUT_MS} "
            "does not change it. Name fewer options.estimators, or have CQOX_JOB_SECONDS raised."
        )
