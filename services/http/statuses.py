"""HTTP statuses beyond `http.HTTPStatus`: one that it lacks, the classes of RFC 9110, and named sets.

`services.http.response.problems` holds the status of each error.
"""

from http import HTTPStatus

__all__ = [
    "CLIENT_CLOSED_REQUEST",
    "NOT_CURED_BY_WAITING",
    "UNAVAILABLE",
    "WITHOUT_CONTENT",
    "is_client_error",
    "is_error",
    "is_server_error",
    "is_success",
]

CLIENT_CLOSED_REQUEST = 499
"""Stands in logs and metrics for the status of a request whose client disconnected before the response."""

UNAVAILABLE = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
"""Statuses of a service that is overloaded, out of order, or too slow now."""

NOT_CURED_BY_WAITING = frozenset({HTTPStatus.GATEWAY_TIMEOUT, HTTPStatus.INSUFFICIENT_STORAGE})
"""Server errors without `Retry-After`: the time is used up, or storage has to be freed."""

WITHOUT_CONTENT = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
"""Statuses of final responses that never have content."""


def is_success(status: int) -> bool:
    """Return whether the request was accepted: 2xx."""
    return status // 100 == HTTPStatus.OK // 100


def is_client_error(status: int) -> bool:
    """Return whether the request is at fault: 4xx."""
    return status // 100 == HTTPStatus.BAD_REQUEST // 100


def is_server_error(status: int) -> bool:
    """Return whether the server is at fault: 5xx."""
    return status // 100 == HTTPStatus.INTERNAL_SERVER_ERROR // 100


def is_error(status: int) -> bool:
    """Return whether the response is neither a success nor a redirection: 4xx, 5xx, and statuses beyond."""
    return status >= HTTPStatus.BAD_REQUEST
