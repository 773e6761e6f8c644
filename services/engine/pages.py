"""Parsing of query parameters and of the page of a listing."""

from collections.abc import Mapping
from datetime import datetime

from cqox.contract import shortened
from cqox.contract.messages import Message
from cqox.contract.words import unknown_word
from cqox.errors import InvalidRequest
from services.http.contract.api import operation
from services.http.request.language import LANGUAGE_PARAMETER
from services.http.request.request import current_request

__all__ = ["page_before", "page_limit", "query_of"]

_MOST_ROWS_OF_A_PAGE = 200


def query_of(name: str) -> Mapping[str, str]:
    """Return the query of the current request.

    Args:
        name: of the operation.

    Raises:
        InvalidRequest: it has a parameter that the operation does not have. If it were ignored, a misspelt filter
            would list everything, and a misspelt `erase` would erase nothing.
    """
    query = current_request().args
    known = [each.name for each in operation(name).parameters if each.where == "query"]
    for given in query:
        if given not in (*known, LANGUAGE_PARAMETER):
            cure = None if known else Message("request.path-takes-no-query")
            raise unknown_word(Message("request.word-query-parameter"), given, known, field=shortened(given), cure=cure)
    return query


def page_limit(given: str) -> int:
    """Parse the largest number of rows of a page.

    Raises:
        InvalidRequest: it is no number, or out of bounds.
    """
    try:
        limit = int(given)
    except ValueError:
        limit = 0
    if not 1 <= limit <= _MOST_ROWS_OF_A_PAGE:
        raise InvalidRequest(
            Message("request.limit-out-of-bounds", given=shortened(given), most=_MOST_ROWS_OF_A_PAGE), field="limit"
        )
    return limit


def page_before(given: str | None) -> str | None:
    """Parse the cursor at which the previous page ended; None for the first page.

    Raises:
        InvalidRequest: it is not the `next` of a page, which is a time and an id.
    """
    if given is None:
        return None
    time, _, identity = given.rpartition("|")
    if not identity or not _is_time(time):
        raise InvalidRequest(Message("request.before-is-no-next", given=shortened(given)), field="before")
    return given


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
