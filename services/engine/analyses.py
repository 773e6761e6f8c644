"""Handlers of analyses: the comprehensive one, those that are stored, their figures, and the catalog of estimators."""

import trio
from quart import Response

from cqox.contract import AnalyzeRequest, parse_model
from cqox.errors import DeadlineExceeded, InvalidRequest
from cqox.storage import StoredReport
from services.engine.answers import json_answer, json_bytes
from services.engine.state import State
from services.http.api import Handler
from services.http.bodies import read_json
from services.http.incoming import current_request

__all__ = ["handlers"]

_MOST_ROWS_OF_A_PAGE = 200
_FIGURE_TYPES = {"svg": "image/svg+xml", "png": "image/png", "json": "application/json"}


def handlers(state: State) -> dict[str, Handler]:
    """The operations on analyses, by name."""

    async def analyze() -> Response:
        body = await read_json(current_request(), max_bytes=state.settings.max_body_bytes)
        asked = parse_model(AnalyzeRequest, body)
        seconds = state.settings.analysis_seconds
        with trio.move_on_after(seconds):
            return json_bytes((await state.analyses.analyze(asked)).body)
        raise DeadlineExceeded(seconds)

    async def read_analysis(analysis_id: str) -> Response:
        return json_bytes((await state.analyses.read(analysis_id)).body)

    async def list_analyses() -> Response:
        query = current_request().args
        page = await state.analyses.reports(
            dataset_id=query.get("dataset_id"), limit=_limit(query.get("limit", "50")), before=query.get("before")
        )
        return json_answer({"analyses": [_summary(report) for report in page.items], "next": page.next})

    async def read_figure(analysis_id: str, name: str, suffix: str) -> Response:
        content = await state.analyses.figure(analysis_id, name, suffix)
        answer = Response(content, 200, content_type=_FIGURE_TYPES[suffix])
        # What has an id by its content never changes.
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer

    async def list_estimators() -> Response:
        return json_answer({"estimators": await state.analyses.catalog()})

    return {
        "analyze": analyze,
        "read_analysis": read_analysis,
        "list_analyses": list_analyses,
        "read_figure": read_figure,
        "list_estimators": list_estimators,
    }


def _limit(given: str) -> int:
    try:
        limit = int(given)
    except ValueError:
        limit = 0
    if not 1 <= limit <= _MOST_ROWS_OF_A_PAGE:
        raise InvalidRequest(
            f"'limit' is a whole number from 1 to {_MOST_ROWS_OF_A_PAGE}, not '{given}'.", field="limit"
        )
    return limit


def _summary(report: StoredReport) -> dict[str, object]:
    return {
        "analysis_id": report.analysis_id,
        "dataset_id": report.dataset_id,
        "created_at": report.created_at,
        "status": report.status,
        "verdict": report.verdict,
        "primary": report.primary,
        "estimate": report.estimate,
    }
