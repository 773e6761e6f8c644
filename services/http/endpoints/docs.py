"""`/openapi.json` and the documentation page, from bundled files that need no network.

The page is Swagger UI (Apache License 2.0), bundled under `static/swagger-ui` with its licence.
"""

import json
from functools import cache
from pathlib import Path

from quart import redirect, request
from quart.typing import ResponseReturnValue
from quart_trio.wrappers import TrioResponse

from cqox.contract.messages import Message
from cqox.errors import NotFound
from cqox.security import Permission
from cqox.threads import run_in_thread
from services.config.security_settings import AuthMode
from services.http.server.app import App

__all__ = ["add_docs", "redirect_to_docs"]

_STATIC = Path(__file__).parent / "static"
_FILES = {
    "index.html": ("text/html; charset=utf-8", _STATIC / "docs.html"),
    "docs.js": ("text/javascript; charset=utf-8", _STATIC / "docs.js"),
    "swagger-ui-bundle.js": ("text/javascript; charset=utf-8", _STATIC / "swagger-ui" / "swagger-ui-bundle.js"),
    "swagger-ui.css": ("text/css; charset=utf-8", _STATIC / "swagger-ui" / "swagger-ui.css"),
    "LICENSE": ("text/plain; charset=utf-8", _STATIC / "swagger-ui" / "LICENSE"),
}
# Swagger UI writes style attributes and draws its icons from data URLs; everything else comes from this server.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def add_docs(app: App) -> None:
    """Add `/openapi.json` and `/docs` to the app."""

    async def openapi() -> TrioResponse:
        body = await run_in_thread(_openapi, app.settings.auth)
        return TrioResponse(body, headers={"Cache-Control": "no-cache"}, content_type="application/json")

    async def page(name: str = "index.html") -> TrioResponse:
        if name not in _FILES:
            raise NotFound(Message("request.no-such-docs-file", name=name), choices=list(_FILES))
        media, path = _FILES[name]
        body = await run_in_thread(_read, path)
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
        response = TrioResponse(body, headers=headers, content_type=media)
        await response.add_etag()
        await response.make_conditional(request)
        return response

    for path, endpoint, handler in (
        ("/openapi.json", "openapi", openapi),
        ("/docs", "docs", page),
        ("/docs/<name>", "docs-file", page),
    ):
        app.add_route(path, endpoint, handler, needs=Permission.API_USE, options=True)


def redirect_to_docs(app: App) -> None:
    """Add a redirect from `/` to the documentation to an app that has no page."""

    async def root() -> ResponseReturnValue:
        return redirect("/docs")

    app.add_route("/", "root", root, needs=None, options=True)


@cache
def _openapi(auth: AuthMode) -> bytes:
    # Imported at the first call: generating the schemas of all models would delay the start of the service.
    from services.http.contract.openapi import openapi_document

    return json.dumps(openapi_document(auth), ensure_ascii=False).encode()


@cache
def _read(path: Path) -> bytes:
    return path.read_bytes()
