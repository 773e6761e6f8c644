"""Handlers of the dashboard of analyses."""

from quart_trio.wrappers import TrioResponse

from cqox.analysis.study_panels import StudyPanels
from cqox.dashboards.analyses import ANALYSIS
from services.engine.state import State
from services.engine.tenancy import mine
from services.http.contract.api import operation
from services.http.contract.queries import query_of
from services.http.contract.registration import Handler
from services.http.endpoints.dashboards import OF_ANALYSES, asked, dashboard_json, described, panel_data
from services.http.request.request import current_request

__all__ = ["handlers"]


def handlers(state: State) -> dict[str, Handler]:
    """Return the handlers of the operations on the dashboard of analyses, by name."""

    async def read_analysis_dashboard() -> TrioResponse:
        query_of("read_analysis_dashboard")
        return dashboard_json(described(ANALYSIS, state.settings, current_request().language).model_dump_json())

    async def read_analysis_panel(panel: str) -> TrioResponse:
        question = asked(operation("read_analysis_panel"), ANALYSIS, panel, OF_ANALYSES)
        source = StudyPanels(mine(state).store)
        answer = await source.answer(question.panel, question.span, language=question.language)
        return dashboard_json(panel_data(question.panel, question.span, answer, question.language).model_dump_json())

    return {"read_analysis_dashboard": read_analysis_dashboard, "read_analysis_panel": read_analysis_panel}
