"""Samples of this engine, for a gateway that puts a panel together."""

from quart import Response

from cqox.dashboards.operations import OPERATIONS
from services.engine.answers import json_bytes
from services.http.contract.dashboard_operations import READ_TERMS, PanelTerms
from services.http.contract.registration import Handler
from services.http.endpoints.dashboards import asked
from services.http.endpoints.own_panels import OwnPanels

__all__ = ["reading_terms"]


def reading_terms(panels: OwnPanels) -> Handler:
    """Return the handler of `READ_TERMS`."""

    async def read_panel_terms(panel: str) -> Response:
        question = asked(READ_TERMS, OPERATIONS, panel)
        terms = await panels.terms(question)
        return json_bytes(PanelTerms.of(terms, len(question.span.times)).model_dump_json().encode())

    return read_panel_terms
