"""The rows of the dashboard of operations, in their order."""

from cqox.contract.messages import Message
from cqox.dashboards.operations.objectives import OBJECTIVES
from cqox.dashboards.operations.policies import BREAKERS, LOAD
from cqox.dashboards.operations.processes import PROCESSES
from cqox.dashboards.operations.stores import STORES
from cqox.dashboards.operations.traffic import NOW, REQUESTS
from cqox.dashboards.operations.work import ANALYSES
from cqox.dashboards.operations.workers import WORKERS
from cqox.dashboards.panels import Dashboard

__all__ = ["OPERATIONS"]

OPERATIONS = Dashboard(
    id="operations",
    title=Message("dashboards.operations-title"),
    rows=(NOW, OBJECTIVES, REQUESTS, BREAKERS, LOAD, ANALYSES, WORKERS, STORES, PROCESSES),
)
"""Requests, policies, analyses, stores and processes of gateways and engines."""
