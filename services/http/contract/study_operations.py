"""The operations on the dashboard of analyses: an engine answers them, for the tenant that asks."""

from http import HTTPStatus

from cqox.contract import DashboardDescription, PanelData
from cqox.security import Permission
from services.http.contract.operations import Answer, Operation, Parameter
from services.http.security.audited import Audited

__all__ = ["STUDY_OPERATIONS"]

STUDY_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="read_analysis_dashboard",
        method="GET",
        path="/api/dashboards/analysis",
        group="Analyses",
        summary="Define the panels of the dashboard of analyses",
        needs=Permission.ANALYSES_READ,
        audited=Audited.NEVER,
        answers=(Answer(meaning="Rows of panels, in the language of the request.", model=DashboardDescription),),
        problems=(HTTPStatus.BAD_REQUEST,),
    ),
    Operation(
        name="read_analysis_panel",
        method="GET",
        path="/api/dashboards/analysis/panels/{panel}",
        group="Analyses",
        summary="Read what a panel about stored analyses shows",
        needs=Permission.ANALYSES_READ,
        audited=Audited.QUEUED,
        description="Figures of the stored reports of the tenant: verdicts, assumptions, gates, estimators, effects, "
        "roles and savings. Of many reports the newest are counted, and `notes` says since when.",
        parameters=(
            Parameter(name="panel", where="path", meaning="An id from the definition of the dashboard."),
            Parameter(name="from", where="query", meaning="Seconds since the epoch; 30 days before `to` if absent."),
            Parameter(name="to", where="query", meaning="Seconds since the epoch; now if absent."),
            Parameter(
                name="step",
                where="query",
                meaning="Seconds of a step, at most 500 of them; about a hundred and twenty if absent.",
            ),
        ),
        answers=(Answer(meaning="Lines or rows, or the reason why there are none.", model=PanelData),),
        problems=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
    ),
)
"""In the order of the documentation."""
