"""The dashboard of analyses: questions about the reports of an organisation."""

from cqox.dashboards.analyses.dashboard import ANALYSIS, PANELS
from cqox.dashboards.analyses.shapes import Asked, answer_of

__all__ = ["ANALYSIS", "PANELS", "Asked", "answer_of"]
