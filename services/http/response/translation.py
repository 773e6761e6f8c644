"""JSON responses in the language that the client prefers: `?lang=`, else `Accept-Language` (RFC 9110, section 12.5.4).

Every document with sentences has a member `messages`, which says how each was made; only the text of a response depends
on the language, never what is stored.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from anyio import CapacityLimiter
from quart import Response

from cqox.contract.messages import LANGUAGES, Language, translate_document
from cqox.threads import run_in_thread
from services.http.request.digests import CONTENT_DIGEST, content_digest

if TYPE_CHECKING:
    from quart.typing import ResponseTypes

    from services.http.request.proxied import AnyRequest
    from services.http.request.request import IncomingRequest

__all__ = ["add_language", "translate_members", "translate_response", "translated"]

_THREADS = CapacityLimiter(2)
_LARGE_BYTES = 2**14


async def translate_response(request: "IncomingRequest", response: "ResponseTypes") -> None:
    """Put the sentences of a JSON response into the language of the request, and say so in its headers."""
    # What says its language has been written in it, such as a figure.
    if response.mimetype != "application/json" or "Content-Language" in response.headers:
        return
    add_language(request, response)
    if request.language == LANGUAGES[0]:
        return
    assert isinstance(response, Response)
    body = await response.get_data(as_text=False)
    if b'"messages":' not in body:
        return
    text = await translated(body, request.language)
    response.set_data(text)
    if CONTENT_DIGEST in response.headers:
        response.headers[CONTENT_DIGEST] = content_digest(text)


def add_language(request: "AnyRequest", response: "ResponseTypes") -> None:
    """Add the headers that a cache needs to keep languages apart."""
    response.headers["Content-Language"] = request.language
    response.headers.add("Vary", "Accept-Language")


async def translated(body: bytes, language: Language) -> bytes:
    """Return a JSON document with its sentences in a language; in a thread where it is large."""
    if language == LANGUAGES[0]:
        return body
    if len(body) < _LARGE_BYTES:
        return _translated(body, language)
    return await run_in_thread(_translated, body, language, limiter=_THREADS)


def translate_members(document: object, language: Language) -> None:
    """Put the sentences of a document, and of problems inside it, into a language, in place."""
    if language == LANGUAGES[0] or not isinstance(document, dict):
        return
    translate_members(document.get("problem"), language)
    messages = document.get("messages")
    if isinstance(messages, Mapping):
        translate_document(document, messages, language)


def _translated(body: bytes, language: Language) -> bytes:
    document = json.loads(body)
    translate_members(document, language)
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
