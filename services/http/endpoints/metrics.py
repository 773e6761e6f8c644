"""`/metrics`: all metrics in Prometheus format."""

from http import HTTPStatus
from typing import TYPE_CHECKING

from quart_trio.wrappers import TrioResponse

from cqox.threads import run_in_thread
from services.http.contract.api import operation
from services.http.request.request import current_request

if TYPE_CHECKING:
    from services.http.server.app import App

__all__ = ["add_metrics"]


def add_metrics(app: "App") -> None:
    """Add `/metrics` to the app."""

    async def show() -> TrioResponse:
        begun, accept = app.telemetry, current_request().headers.get("Accept", "")
        assert begun is not None
        text, content_type = await run_in_thread(begun.exposition, accept)
        answer = TrioResponse(text, HTTPStatus.OK, content_type=content_type)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    app.add_route("/metrics", "metrics", show, needs=operation("metrics").needs)
