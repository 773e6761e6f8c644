"""The parts of a listing that a request asks for."""

from cqox.contract import shortened
from cqox.errors import InvalidRequest

__all__ = ["page_limit"]

_MOST_ROWS_OF_A_PAGE = 200


def page_limit(given: str) -> int:
    """How many rows a page may have.

    Raises:
        InvalidRequest: it is no number, or out of bounds.
    """
    try:
        limit = int(given)
    except ValueError:
        limit = 0
    if not 1 <= limit <= _MOST_ROWS_OF_A_PAGE:
        raise InvalidRequest(
            f"'limit' is a whole number from 1 to {_MOST_ROWS_OF_A_PAGE}, not '{shortened(given)}'.", field="limit"
        )
    return limit
