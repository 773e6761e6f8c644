"""The dashboard of operations: what answers a question at night."""

from cqox.dashboards.operations.dashboard import OPERATIONS

__all__ = ["OPERATIONS"]
