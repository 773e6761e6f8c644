"""What a client is told once the time of its analysis is up: when that was, and how more time can be had."""

from cqox.errors import DeadlineExceeded
from cqox.resilience.propagation.http import REQUEST_TIMEOUT_MS

__all__ = ["AnalysisTimeUp", "JobTimeUp"]


class AnalysisTimeUp(DeadlineExceeded):
    """An analysis that somebody waits for took longer than its request may.

    Args:
        seconds: what it was given.
        most: what a request may ask for, in seconds.
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
    """An analysis in the background took longer than a job may, whatever its request says."""

    seconds: float

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)

    def __str__(self) -> str:
        return (
            f"The deadline of {self.seconds:g} s for an analysis in the background has passed; {REQUEST_TIMEOUT_MS} "
            "does not change it. Name fewer options.estimators, or have CQOX_JOB_SECONDS raised."
        )
