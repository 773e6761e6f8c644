"""Routes of analyses: the comprehensive one, those that are stored, and the catalog of estimators."""

import json

import trio
from quart import Response

from cqox.contract import AnalyzeRequest, parse_model
from cqox.errors import DeadlineExceeded, InvalidRequest
from cqox.storage import StoredReport
from services.engine.state import State
from services.http.app import App
from services.http.bodies import read_json
from services.http.incoming import current_request

__all__ = ["register"]

_MOST_ROWS_OF_A_PAGE = 200


def register(app: App, state: State) -> None:
    """Put the routes on the app."""

    @app.post("/api/analyze/comprehensive")
    async def analyze_comprehensive() -> Response:
        body = await read_json(current_request(), max_bytes=state.settings.max_body_bytes)
        asked = parse_model(AnalyzeRequest, body)
        seconds = state.settings.analysis_seconds
        with trio.move_on_after(seconds):
            answer = await state.analyses.analyze(asked)
            return _report(answer.body)
        raise DeadlineExceeded(seconds)

    @app.get("/api/analyses/<analysis_id>")
    async def read_analysis(analysis_id: str) -> Response:
        return _report((await state.analyses.read(analysis_id)).body)

    @app.get("/api/analyses")
    async def list_analyses() -> Response:
        query = current_request().args
        page = await state.analyses.reports(
            dataset_id=query.get("dataset_id"), limit=_limit(query.get("limit", "50")), before=query.get("before")
        )
        return _json({"analyses": [_summary(report) for report in page.items], "next": page.next})

    @app.get("/api/estimators")
    async def list_estimators() -> Response:
        return _json({"estimators": await state.analyses.catalog()})


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


def _report(body: bytes) -> Response:
    return Response(body, 200, content_type="application/json")


def _json(value: object) -> Response:
    body = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(body, 200, content_type="application/json")
