"""What the engine's routes share."""

from cqox.analysis.jobs import Jobs
from cqox.analysis.service import Analyses
from services.http.settings import Settings

__all__ = ["State"]


class State:
    """Settings from the start, analyses from when the app is served.

    Attributes:
        settings: the settings in force.
        analyses: open while the app serves.
        jobs: analyses in the background; there while the app serves.
    """

    analyses: Analyses
    jobs: Jobs

    def __init__(self, *, settings: Settings) -> None:
        self.settings = settings
