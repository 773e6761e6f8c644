"""Panels of effects, their intervals, and refuters."""

from cqox.contract.messages import Message
from cqox.dashboards.analyses.questions import QUESTIONS, effects
from cqox.dashboards.analyses.shapes import Asked, bars, counts, pivot, refuter_coverage, table
from cqox.dashboards.analyses.words import HISTORY, MANY, NUMBER, REFUTERS, REPORT, TIME
from cqox.dashboards.panels import Panel, View
from cqox.dashboards.views import ViewQuery

__all__ = ["PANELS"]


PANELS: tuple[Asked, ...] = (
    Asked(
        panel=Panel(
            id="effects",
            title=Message("studies.effects-title"),
            help=Message("studies.effects-help"),
            queries=(View(name="dashboard_analyses"),),
            kind="table",
            columns=24,
            links=(HISTORY,),
        ),
        queries=(QUESTIONS,),
        shape=effects,
        nothing=Message("studies.effects-none"),
    ),
    Asked(
        panel=Panel(
            id="positions",
            title=Message("studies.positions-title"),
            help=Message("studies.positions-help"),
            queries=(View(name="dashboard_analyses"),),
            kind="bars",
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses",
                columns=("position",),
                measures=(NUMBER,),
                where=(("position", ()),),
                most_analyses=MANY,
            ),
        ),
        shape=bars(),
        nothing=Message("studies.positions-none"),
    ),
    Asked(
        panel=Panel(
            id="positions-over-time",
            title=Message("studies.positions-over-time-title"),
            help=Message("studies.positions-over-time-help"),
            queries=(View(name="dashboard_analyses"),),
            stacked=True,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses",
                columns=("position",),
                measures=(NUMBER,),
                where=(("position", ()),),
                each_step=True,
                most_analyses=MANY,
            ),
        ),
        shape=counts(words=("beyond", "around", "short", "unbounded")),
        nothing=Message("studies.positions-over-time-none"),
    ),
    Asked(
        panel=Panel(
            id="disagreement",
            title=Message("studies.disagreement-title"),
            help=Message("studies.disagreement-help"),
            queries=(View(name="dashboard_analyses"),),
            kind="table",
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses",
                columns=(
                    "created_second",
                    "primary_name",
                    "lowest",
                    "estimate",
                    "highest",
                    "standard_error",
                    "analysis_id",
                ),
                where=(("estimate", ()), ("lowest", ())),
                order=("-created_second", "analysis_id"),
                most_rows=200,
            ),
        ),
        shape=table(
            TIME,
            Message("studies.column-primary"),
            Message("studies.column-lowest"),
            Message("studies.column-estimate"),
            Message("studies.column-highest"),
            Message("studies.column-standard-error"),
            REPORT,
        ),
        nothing=Message("studies.disagreement-none"),
    ),
    Asked(
        panel=Panel(
            id="precision",
            title=Message("studies.precision-title"),
            help=Message("studies.precision-help"),
            queries=(View(name="dashboard_analyses"),),
            kind="table",
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses",
                columns=("created_second", "primary_name", "ci_lower", "minimum_effect", "ci_upper", "analysis_id"),
                where=(("position", ("around",)),),
                order=("-created_second", "analysis_id"),
                most_rows=200,
            ),
        ),
        shape=table(
            TIME,
            Message("studies.column-primary"),
            Message("studies.column-lower"),
            Message("studies.column-minimum"),
            Message("studies.column-upper"),
            REPORT,
        ),
        nothing=Message("studies.precision-none"),
    ),
    Asked(
        panel=Panel(
            id="refuter-coverage",
            title=Message("studies.refuter-coverage-title"),
            help=Message("studies.refuter-coverage-help"),
            queries=(View(name="dashboard_analyses"),),
            kind="bars",
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses",
                columns=("replications",),
                measures=(NUMBER,),
                where=(("replications", ()),),
                most_analyses=MANY,
            ),
        ),
        shape=refuter_coverage,
        nothing=Message("studies.refuter-coverage-none"),
    ),
    Asked(
        panel=Panel(
            id="refuters",
            title=Message("studies.refuters-title"),
            help=Message("studies.refuters-help"),
            queries=(View(name="dashboard_refuters"),),
            kind="table",
            links=(HISTORY,),
        ),
        queries=(ViewQuery(view="dashboard_refuters", columns=("name", "status"), measures=(NUMBER,)),),
        shape=pivot(Message("studies.column-refuter"), REFUTERS),
        nothing=Message("studies.refuters-none"),
    ),
)
"""Estimates, and how far they stand."""
