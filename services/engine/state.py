"""The state that the engine's routes share."""

from collections.abc import Mapping

from anyio import CapacityLimiter

from cqox.analysis.jobs import Jobs
from cqox.analysis.service import Analyses
from services.config.settings import Settings
from services.config.sources import NamedSource
from services.engine.listeners import Listeners

__all__ = ["State"]


class State:
    """The settings, and the services that are open while the app serves.

    Attributes:
        settings: the settings in force.
        analyses: those of all tenants, open while the app serves.
        jobs: analyses of all tenants in the background; set while the app serves.
        listeners: clients of the event streams of jobs.
        sources: data sources that the operator has named.
        names: limits concurrent validations of column names.
        role_checked: whether the database's role is known to be bound by row level security.
    """

    analyses: Analyses
    jobs: Jobs

    def __init__(self, *, settings: Settings, sources: Mapping[str, NamedSource] | None = None) -> None:
        self.settings = settings
        self.sources = sources or {}
        self.listeners = Listeners()
        self.role_checked = False
        self.names = CapacityLimiter(2)
