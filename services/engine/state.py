"""What the engine's routes share."""

import trio

from cqox.analysis.jobs import Jobs
from cqox.analysis.service import Analyses
from services.config.settings import Settings
from services.engine.listeners import Listeners

__all__ = ["State"]


class State:
    """Settings from the start, analyses from when the app is served.

    Attributes:
        settings: the settings in force.
        analyses: open while the app serves.
        jobs: analyses in the background; there while the app serves.
        listeners: who listens to the events of jobs.
        names: how many requests have their names compared with those of a data set at once.
    """

    analyses: Analyses
    jobs: Jobs

    def __init__(self, *, settings: Settings) -> None:
        self.settings = settings
        self.listeners = Listeners()
        self.names = trio.CapacityLimiter(2)
