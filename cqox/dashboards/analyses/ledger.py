"""Panels of the ledger of assumptions and of gates."""

from cqox.contract.messages import Message
from cqox.dashboards.analyses.shapes import Asked, bars, counts, pivot, table
from cqox.dashboards.analyses.words import GATES, HISTORY, LEDGER, MANY, NUMBER, REPORT, TIME
from cqox.dashboards.panels import Panel, View
from cqox.dashboards.views import ViewQuery

__all__ = ["PANELS"]


PANELS: tuple[Asked, ...] = (
    Asked(
        panel=Panel(
            id="ledger",
            title=Message("studies.ledger-title"),
            help=Message("studies.ledger-help"),
            queries=(View(name="dashboard_assumptions"),),
            stacked=True,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_assumptions",
                columns=("status",),
                measures=(NUMBER,),
                where=(("status", ()),),
                each_step=True,
            ),
        ),
        shape=counts(words=("supported", "declared", "untested", "contradicted")),
        nothing=Message("studies.ledger-none"),
    ),
    Asked(
        panel=Panel(
            id="assumptions",
            title=Message("studies.assumptions-title"),
            help=Message("studies.assumptions-help"),
            queries=(View(name="dashboard_assumptions"),),
            kind="table",
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_assumptions", columns=("name", "status"), measures=(NUMBER,), where=(("status", ()),)
            ),
        ),
        shape=pivot(Message("studies.column-assumption"), LEDGER),
        nothing=Message("studies.assumptions-none"),
    ),
    Asked(
        panel=Panel(
            id="contradicted",
            title=Message("studies.contradicted-title"),
            help=Message("studies.contradicted-help"),
            queries=(View(name="dashboard_assumptions"),),
            kind="table",
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_assumptions",
                columns=("created_second", "name", "analysis_id"),
                where=(("status", ("contradicted",)),),
                order=("-created_second", "analysis_id", "name"),
                most_rows=100,
            ),
        ),
        shape=table(TIME, Message("studies.column-assumption"), REPORT),
        nothing=Message("studies.contradicted-none"),
    ),
    Asked(
        panel=Panel(
            id="assignment",
            title=Message("studies.assignment-title"),
            help=Message("studies.assignment-help"),
            queries=(View(name="dashboard_analyses"),),
            kind="bars",
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses",
                columns=("assignment",),
                measures=(NUMBER,),
                where=(("assignment", ()),),
                most_analyses=MANY,
            ),
        ),
        shape=bars(),
        nothing=Message("studies.assignment-none"),
    ),
    Asked(
        panel=Panel(
            id="gates-failing",
            title=Message("studies.gates-failing-title"),
            help=Message("studies.gates-failing-help"),
            queries=(View(name="dashboard_gates"),),
            stacked=True,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_gates",
                columns=("name",),
                measures=(NUMBER,),
                where=(("status", ("fail",)),),
                each_step=True,
            ),
        ),
        shape=counts(),
        nothing=Message("studies.gates-failing-none"),
    ),
    Asked(
        panel=Panel(
            id="gates",
            title=Message("studies.gates-title"),
            help=Message("studies.gates-help"),
            queries=(View(name="dashboard_gates"),),
            kind="table",
            columns=12,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(view="dashboard_gates", columns=("name", "status"), measures=(NUMBER,), where=(("status", ()),)),
        ),
        shape=pivot(Message("studies.column-gate"), GATES),
        nothing=Message("studies.gates-none"),
    ),
    Asked(
        panel=Panel(
            id="gates-failed",
            title=Message("studies.gates-failed-title"),
            help=Message("studies.gates-failed-help"),
            queries=(View(name="dashboard_gates"),),
            kind="table",
            columns=12,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_gates",
                columns=("created_second", "name", "value", "threshold", "analysis_id"),
                where=(("status", ("fail",)),),
                order=("-created_second", "analysis_id", "name"),
                most_rows=100,
            ),
        ),
        shape=table(
            TIME,
            Message("studies.column-gate"),
            Message("studies.column-value"),
            Message("studies.column-threshold"),
            REPORT,
        ),
        nothing=Message("studies.gates-failed-none"),
    ),
)
"""The grounds of verdicts."""
