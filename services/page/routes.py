"""The page's shell, its modules and its sentences.

Everything is static but the language of the shell: the page fetches its data from the API, as every other client does.
No build step, no request to another host; the policy allows neither inline scripts nor inline styles.
"""

import json
import string
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from quart import request
from quart_trio.wrappers import TrioResponse

from cqox.contract.messages import LANGUAGES, Language, Message, codes, template
from cqox.errors import NotFound
from cqox.threads import run_in_thread
from services.http.request.request import current_request
from services.http.server.app import App

__all__ = ["PAGE_PATHS", "add_page"]

PAGE_PATHS = (
    "/",
    "/d/<dataset_id>",
    "/j/<job_id>",
    "/a/<analysis_id>",
    "/history",
    "/dashboard",
    "/dashboard/<dashboard>",
    "/s",
    "/sign-in",
)
"""Addresses of the page; its modules show what belongs to each."""

_STATIC = Path(__file__).parent / "static"
_MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SENTENCES = "page."


def add_page(app: App) -> None:
    """Add the page, its files under `/page/` and its sentences under `/page/text.<language>.json` to the app."""
    files = _files()

    async def shell(**_: str) -> TrioResponse:
        language = current_request().language
        body = await run_in_thread(_shell, language)
        response = await _conditional(body, "text/html; charset=utf-8")
        response.headers["Content-Language"] = language
        response.headers["Vary"] = "Accept-Language"
        return response

    async def page_file(name: str) -> TrioResponse:
        if name not in files:
            raise NotFound(Message("request.no-such-page-file", name=name[:100]))
        body = await run_in_thread(_read, files[name])
        return await _conditional(body, _MEDIA[files[name].suffix])

    async def text(language: Language) -> TrioResponse:
        if language not in LANGUAGES:
            raise NotFound(Message("request.no-such-page-file", name=f"text.{language[:20]}.json"))
        return await _conditional(await run_in_thread(_text, language), "application/json")

    for number, path in enumerate(PAGE_PATHS):
        app.add_route(path, f"page-{number}", shell, needs=None, options=True)
    app.add_route("/page/text.<language>.json", "page-text", text, needs=None, options=True)
    app.add_route("/page/<path:name>", "page-file", page_file, needs=None, options=True)


async def _conditional(body: bytes, media: str) -> TrioResponse:
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
    response = TrioResponse(body, headers=headers, content_type=media)
    await response.add_etag()
    await response.make_conditional(request)
    return response


def _files() -> Mapping[str, Path]:
    found = (path for path in sorted(_STATIC.rglob("*")) if path.suffix in _MEDIA)
    return {path.relative_to(_STATIC).as_posix(): path for path in found}


@cache
def _read(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _shell(language: Language) -> bytes:
    modules = (name for name in _files() if name.startswith("js/") or name in _PRELOADED)
    preloads = "\n".join(f'<link rel="modulepreload" href="/page/{name}">' for name in modules)
    sentences = {
        name: template(language, f"{_SENTENCES}shell-{name}") or ""
        for name in ("title", "description", "loading", "noscript")
    }
    shell = string.Template((_STATIC / "shell.html").read_text(encoding="utf-8"))
    return shell.substitute(sentences, language=language, preloads=preloads).encode()


_PRELOADED = ("vendor/preact.js", "vendor/hooks.js", "vendor/htm.js")


@cache
def _text(language: Language) -> bytes:
    """Return the page's sentences by code, without the area; the English sentence where the language lacks one."""
    found = {
        code.removeprefix(_SENTENCES): template(language, code) or template(LANGUAGES[0], code)
        for code in codes(LANGUAGES[0])
        if code.startswith(_SENTENCES)
    }
    return json.dumps(found, ensure_ascii=False).encode()
