"""Panels of what waits for a person."""

from cqox.contract.messages import Message
from cqox.dashboards.analyses.questions import QUESTIONS, waiting, waiting_count
from cqox.dashboards.analyses.shapes import Asked, bars
from cqox.dashboards.analyses.words import HISTORY, NUMBER
from cqox.dashboards.panels import Panel, View
from cqox.dashboards.views import ViewQuery

__all__ = ["PANELS"]


PANELS: tuple[Asked, ...] = (
    Asked(
        panel=Panel(
            id="waiting",
            title=Message("studies.waiting-title"),
            help=Message("studies.waiting-help"),
            queries=(View(name="dashboard_analyses"),),
            kind="table",
            columns=16,
            links=(HISTORY,),
        ),
        queries=(QUESTIONS,),
        shape=waiting,
        nothing=Message("studies.waiting-none"),
    ),
    Asked(
        panel=Panel(
            id="waiting-count",
            title=Message("studies.waiting-count-title"),
            help=Message("studies.waiting-count-help"),
            queries=(View(name="dashboard_analyses"),),
            kind="stat",
            columns=4,
            links=(HISTORY,),
        ),
        queries=(QUESTIONS,),
        shape=waiting_count,
        nothing=Message("studies.waiting-count-none"),
    ),
    Asked(
        panel=Panel(
            id="held-back",
            title=Message("studies.held-back-title"),
            help=Message("studies.held-back-help"),
            queries=(
                View(name="dashboard_assumptions"),
                View(name="dashboard_gates"),
                View(name="dashboard_findings"),
            ),
            kind="bars",
            columns=12,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_assumptions",
                columns=("name", "status"),
                measures=(NUMBER,),
                where=(("status", ("untested", "contradicted")),),
            ),
            ViewQuery(
                view="dashboard_gates",
                columns=("name", "status"),
                measures=(NUMBER,),
                where=(("status", ("warn", "fail")),),
            ),
            ViewQuery(
                view="dashboard_findings",
                columns=("name", "status"),
                measures=(NUMBER,),
                where=(("severity", ("caps",)), ("status", ("open",))),
            ),
        ),
        shape=bars(of=2),
        nothing=Message("studies.held-back-none"),
    ),
)
"""Decisions that wait, and their obstacles."""
