"""Panels of analyses and their verdicts."""

from cqox.contract.messages import Message
from cqox.dashboards.analyses.questions import QUESTIONS, looks
from cqox.dashboards.analyses.shapes import Asked, counts, pivot, share, table
from cqox.dashboards.analyses.words import HISTORY, MANY, NUMBER, REPORT, TIME, VERDICTS
from cqox.dashboards.panels import Panel, View
from cqox.dashboards.views import ViewQuery

__all__ = ["PANELS"]


PANELS: tuple[Asked, ...] = (
    Asked(
        panel=Panel(
            id="analyses",
            title=Message("studies.analyses-title"),
            help=Message("studies.analyses-help"),
            queries=(View(name="dashboard_analyses"),),
            stacked=True,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses", columns=("status",), measures=(NUMBER,), each_step=True, most_analyses=MANY
            ),
        ),
        shape=counts(words=("ok", "warning", "failed")),
        nothing=Message("studies.analyses-none"),
    ),
    Asked(
        panel=Panel(
            id="verdicts",
            title=Message("studies.verdicts-title"),
            help=Message("studies.verdicts-help"),
            queries=(View(name="dashboard_analyses"),),
            stacked=True,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses",
                columns=("verdict",),
                measures=(NUMBER,),
                where=(("verdict", ()),),
                each_step=True,
                most_analyses=MANY,
            ),
        ),
        shape=counts(words=("GO", "CANARY", "HOLD")),
        nothing=Message("studies.verdicts-none"),
    ),
    Asked(
        panel=Panel(
            id="go-share",
            title=Message("studies.go-share-title"),
            help=Message("studies.go-share-help"),
            queries=(View(name="dashboard_analyses"),),
            unit="ratio",
            kind="stat",
            columns=4,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses",
                columns=("verdict",),
                measures=(NUMBER,),
                where=(("verdict", ()),),
                most_analyses=MANY,
            ),
        ),
        shape=share(Message("studies.word-go"), wanted="GO"),
        nothing=Message("studies.go-share-none"),
    ),
    Asked(
        panel=Panel(
            id="verdicts-by-design",
            title=Message("studies.verdicts-by-design-title"),
            help=Message("studies.verdicts-by-design-help"),
            queries=(View(name="dashboard_analyses"),),
            kind="table",
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses",
                columns=("design", "verdict"),
                measures=(NUMBER,),
                where=(("verdict", ()),),
                most_analyses=MANY,
            ),
        ),
        shape=pivot(Message("studies.column-design"), VERDICTS),
        nothing=Message("studies.verdicts-by-design-none"),
    ),
    Asked(
        panel=Panel(
            id="failed-analyses",
            title=Message("studies.failed-analyses-title"),
            help=Message("studies.failed-analyses-help"),
            queries=(View(name="dashboard_analyses"),),
            kind="table",
            columns=12,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses",
                columns=("created_second", "dataset_name", "outcome", "treatment", "dataset_id", "analysis_id"),
                where=(("status", ("failed",)),),
                order=("-created_second", "analysis_id"),
                most_rows=100,
            ),
        ),
        shape=table(
            TIME,
            Message("studies.column-data-set"),
            Message("studies.column-outcome"),
            Message("studies.column-treatment"),
            Message("studies.column-id"),
            REPORT,
        ),
        nothing=Message("studies.failed-analyses-none"),
    ),
    Asked(
        panel=Panel(
            id="looks",
            title=Message("studies.looks-title"),
            help=Message("studies.looks-help"),
            queries=(View(name="dashboard_analyses"),),
            kind="table",
            columns=12,
            links=(HISTORY,),
        ),
        queries=(QUESTIONS,),
        shape=looks,
        nothing=Message("studies.looks-none"),
    ),
)
"""Numbers of analyses, and their ends."""
