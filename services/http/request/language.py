"""The query parameter `lang`, which chooses the language of a response's sentences."""

from typing import TYPE_CHECKING

from cqox.contract import shortened
from cqox.contract.messages import LANGUAGES, Message
from cqox.errors import InvalidRequest

if TYPE_CHECKING:
    from services.http.request.request import IncomingRequest

__all__ = ["LANGUAGE_PARAMETER", "unknown_language"]

LANGUAGE_PARAMETER = "lang"
"""Name of the query parameter; every path of the API takes it."""


def unknown_language(request: "IncomingRequest") -> InvalidRequest | None:
    """Return the error of a request for a language that has no catalog, None where there is none."""
    if not request.query_string or not request.path.startswith("/api/"):
        return None
    asked = request.args.get(LANGUAGE_PARAMETER)
    if asked is None or asked in LANGUAGES:
        return None
    detail = Message("request.unknown-language", language=shortened(asked), choices=LANGUAGES)
    return InvalidRequest(detail, field=LANGUAGE_PARAMETER, choices=LANGUAGES)
