"""Panels of estimators."""

from cqox.contract.messages import Message
from cqox.dashboards.analyses.reasons import reason_bars, with_reasons
from cqox.dashboards.analyses.shapes import Asked, bars, pivot, table
from cqox.dashboards.analyses.words import ESTIMATES, HISTORY, MANY, NUMBER, REPORT, TIME
from cqox.dashboards.panels import Panel, View
from cqox.dashboards.views import Measure, ViewQuery

__all__ = ["PANELS"]


PANELS: tuple[Asked, ...] = (
    Asked(
        panel=Panel(
            id="estimators",
            title=Message("studies.estimators-title"),
            help=Message("studies.estimators-help"),
            queries=(View(name="dashboard_estimators"),),
            kind="table",
            columns=12,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_estimators", columns=("name", "status"), measures=(NUMBER,), where=(("status", ()),)
            ),
        ),
        shape=pivot(Message("studies.column-estimator"), ESTIMATES),
        nothing=Message("studies.estimators-none"),
    ),
    Asked(
        panel=Panel(
            id="skip-reasons",
            title=Message("studies.skip-reasons-title"),
            help=Message("studies.skip-reasons-help"),
            queries=(View(name="dashboard_estimators"),),
            kind="bars",
            columns=12,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_estimators",
                columns=("reason", "role"),
                measures=(NUMBER,),
                where=(("status", ("skipped",)),),
                order=("-number",),
                most_rows=200,
            ),
        ),
        shape=reason_bars,
        nothing=Message("studies.skip-reasons-none"),
    ),
    Asked(
        panel=Panel(
            id="skipped",
            title=Message("studies.skipped-title"),
            help=Message("studies.skipped-help"),
            queries=(View(name="dashboard_estimators"),),
            kind="table",
            columns=12,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_estimators",
                columns=("name", "reason", "role"),
                measures=(NUMBER,),
                where=(("status", ("skipped",)),),
                order=("-number", "name"),
                most_rows=200,
            ),
        ),
        shape=with_reasons(
            table(
                Message("studies.column-estimator"),
                Message("studies.column-reason"),
                Message("studies.column-number"),
                timed=False,
                reported=False,
            ),
            1,
        ),
        nothing=Message("studies.skipped-none"),
    ),
    Asked(
        panel=Panel(
            id="estimators-failed",
            title=Message("studies.estimators-failed-title"),
            help=Message("studies.estimators-failed-help"),
            queries=(View(name="dashboard_estimators"),),
            kind="table",
            columns=12,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_estimators",
                columns=("created_second", "name", "reason", "role", "analysis_id"),
                where=(("status", ("failed",)),),
                order=("-created_second", "analysis_id", "name"),
                most_rows=100,
            ),
        ),
        shape=with_reasons(
            table(TIME, Message("studies.column-estimator"), Message("studies.column-reason"), REPORT), 2
        ),
        nothing=Message("studies.estimators-failed-none"),
    ),
    Asked(
        panel=Panel(
            id="estimator-seconds",
            title=Message("studies.estimator-seconds-title"),
            help=Message("studies.estimator-seconds-help"),
            queries=(View(name="dashboard_estimators"),),
            unit="seconds",
            kind="bars",
            columns=12,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_estimators",
                columns=("name",),
                measures=(Measure(name="typical", how="mean", column="seconds"),),
                where=(("status", ("ok", "warning")),),
                order=("-typical",),
            ),
        ),
        shape=bars(),
        nothing=Message("studies.estimator-seconds-none"),
    ),
    Asked(
        panel=Panel(
            id="primaries",
            title=Message("studies.primaries-title"),
            help=Message("studies.primaries-help"),
            queries=(View(name="dashboard_analyses"),),
            kind="bars",
            columns=12,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses",
                columns=("primary_name",),
                measures=(NUMBER,),
                where=(("primary_name", ()),),
                most_analyses=MANY,
            ),
        ),
        shape=bars(),
        nothing=Message("studies.primaries-none"),
    ),
)
"""Estimators that run, skip and fail, with the reasons."""
