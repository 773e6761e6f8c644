"""Routes of figures: a specification, or a picture that is drawn at its first GET."""

from quart import Response

from services.engine.state import State
from services.http.app import App

__all__ = ["register"]

_TYPES = {"svg": "image/svg+xml", "png": "image/png", "json": "application/json"}


def register(app: App, state: State) -> None:
    """Put the routes on the app."""

    @app.get("/api/analyses/<analysis_id>/figures/<name>.<suffix>")
    async def read_figure(analysis_id: str, name: str, suffix: str) -> Response:
        content = await state.analyses.figure(analysis_id, name, suffix)
        answer = Response(content, 200, content_type=_TYPES[suffix])
        # What has an id by its content never changes.
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer
