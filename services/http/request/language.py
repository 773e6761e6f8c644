"""The query parameter `lang`, which chooses the language of a response's sentences."""

from typing import TYPE_CHECKING

from cqox.contract import shortened
from cqox.contract.messages import LANGUAGES, Language, Message, choose_language
from cqox.errors import InvalidRequest

if TYPE_CHECKING:
    from services.http.request.proxied import AnyRequest

__all__ = ["LANGUAGE_PARAMETER", "language_of", "unknown_language"]

LANGUAGE_PARAMETER = "lang"
"""Name of the query parameter; every path of the API takes it."""


def language_of(asked: str | None, accept_language: str) -> Language:
    """Return the language of a response's sentences: the one asked for where there is a catalog, else the preferred.

    Args:
        asked: the value of the query parameter; None where it is absent.
        accept_language: the value of `Accept-Language`; empty where it is absent.
    """
    found = next((language for language in LANGUAGES if language == asked), None)
    return found or choose_language(accept_language)


def unknown_language(request: "AnyRequest") -> InvalidRequest | None:
    """Return the error of a request for a language that has no catalog, None where there is none."""
    if not request.query_string or not request.path.startswith("/api/"):
        return None
    asked = request.args.get(LANGUAGE_PARAMETER)
    if asked is None or asked in LANGUAGES:
        return None
    detail = Message("request.unknown-language", language=shortened(asked), choices=LANGUAGES)
    return InvalidRequest(detail, field=LANGUAGE_PARAMETER, choices=LANGUAGES)
