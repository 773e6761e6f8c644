"""Parsing of the page of a listing."""

from datetime import datetime

from cqox.contract import shortened
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest
from services.http.contract.queries import query_of

__all__ = ["page_before", "page_limit", "query_of"]

_MOST_ROWS_OF_A_PAGE = 200


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
