"""Panels of data, roles, baselines, and savings."""

from cqox.contract.messages import Message
from cqox.dashboards.analyses.questions import QUESTIONS, drift_lines, drift_table
from cqox.dashboards.analyses.shapes import Asked, figures, number, pivot, reuses
from cqox.dashboards.analyses.words import FINDINGS, HISTORY, MANY, NUMBER, ROLES_AGAINST
from cqox.dashboards.panels import Panel, View
from cqox.dashboards.views import Measure, ViewQuery

__all__ = ["PANELS"]


PANELS: tuple[Asked, ...] = (
    Asked(
        panel=Panel(
            id="rows",
            title=Message("studies.rows-title"),
            help=Message("studies.rows-help"),
            queries=(View(name="dashboard_analyses"),),
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses",
                measures=(
                    Measure(name="whole", how="mean", column="dataset_rows"),
                    Measure(name="used", how="mean", column="rows_used"),
                ),
                where=(("dataset_rows", ()),),
                each_step=True,
                most_analyses=MANY,
            ),
        ),
        shape=figures(Message("studies.word-rows"), Message("studies.word-rows-used")),
        nothing=Message("studies.rows-none"),
    ),
    Asked(
        panel=Panel(
            id="columns",
            title=Message("studies.columns-title"),
            help=Message("studies.columns-help"),
            queries=(View(name="dashboard_analyses"),),
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_analyses",
                measures=(
                    Measure(name="typical", how="mean", column="mapped_columns"),
                    Measure(name="most", how="highest", column="mapped_columns"),
                ),
                where=(("mapped_columns", ()),),
                each_step=True,
                most_analyses=MANY,
            ),
        ),
        shape=figures(Message("studies.word-columns"), Message("studies.word-most-columns")),
        nothing=Message("studies.columns-none"),
    ),
    Asked(
        panel=Panel(
            id="findings",
            title=Message("studies.findings-title"),
            help=Message("studies.findings-help"),
            queries=(View(name="dashboard_findings"),),
            kind="table",
            links=(HISTORY,),
        ),
        queries=(ViewQuery(view="dashboard_findings", columns=("name", "status"), measures=(NUMBER,)),),
        shape=pivot(Message("studies.column-finding"), FINDINGS),
        nothing=Message("studies.findings-none"),
    ),
    Asked(
        panel=Panel(
            id="roles",
            title=Message("studies.roles-title"),
            help=Message("studies.roles-help"),
            queries=(View(name="dashboard_roles"),),
            kind="table",
            links=(HISTORY,),
        ),
        queries=(ViewQuery(view="dashboard_roles", columns=("name", "status"), measures=(NUMBER,)),),
        shape=pivot(Message("studies.column-role"), ROLES_AGAINST),
        nothing=Message("studies.roles-none"),
    ),
    Asked(
        panel=Panel(
            id="baseline",
            title=Message("studies.baseline-title"),
            help=Message("studies.baseline-help"),
            queries=(View(name="dashboard_analyses"),),
            links=(HISTORY,),
        ),
        queries=(QUESTIONS,),
        shape=drift_lines,
        nothing=Message("studies.baseline-none"),
    ),
    Asked(
        panel=Panel(
            id="baseline-drift",
            title=Message("studies.baseline-drift-title"),
            help=Message("studies.baseline-drift-help"),
            queries=(View(name="dashboard_analyses"),),
            kind="table",
            columns=16,
            links=(HISTORY,),
        ),
        queries=(QUESTIONS,),
        shape=drift_table,
        nothing=Message("studies.baseline-drift-none"),
    ),
    Asked(
        panel=Panel(
            id="reuses",
            title=Message("studies.reuses-title"),
            help=Message("studies.reuses-help"),
            queries=(View(name="dashboard_reuses"),),
            columns=12,
            stacked=True,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(
                view="dashboard_reuses",
                measures=(
                    Measure(name="cached", how="sum", column="cached"),
                    Measure(name="shared", how="sum", column="shared"),
                ),
                each_step=True,
            ),
        ),
        shape=reuses,
        nothing=Message("studies.reuses-none"),
    ),
    Asked(
        panel=Panel(
            id="seconds-saved",
            title=Message("studies.seconds-saved-title"),
            help=Message("studies.seconds-saved-help"),
            queries=(View(name="dashboard_reuses"),),
            unit="seconds",
            kind="stat",
            columns=4,
            links=(HISTORY,),
        ),
        queries=(
            ViewQuery(view="dashboard_reuses", measures=(Measure(name="saved", how="sum", column="seconds_saved"),)),
        ),
        shape=number(Message("studies.word-saved")),
        nothing=Message("studies.seconds-saved-none"),
    ),
)
"""The analysed data, and the cost of computing."""
