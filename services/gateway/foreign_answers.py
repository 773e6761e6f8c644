"""Detection of a response that belongs to another request.

HTTP/1.1 matches responses to requests by order alone: after one surplus response on a keep-alive connection, every
request gets the response to another. So each request carries an exchange id (`EXCHANGE`) that its response repeats.
"""

from collections.abc import Sequence
from http import HTTPStatus

import httpx

from cqox.contract.messages import Message
from services.http.request.propagation import EXCHANGE, RECEIVED, Received
from services.http.statuses import is_error

__all__ = ["ForeignAnswer", "is_own"]

_EXCHANGE = EXCHANGE.lower().encode()
_RECEIVED = RECEIVED.lower().encode()


class ForeignAnswer(httpx.RemoteProtocolError):
    """The response belongs to another request, or was changed on the way.

    Attributes:
        why: how that shows, as a clause.
    """

    def __init__(self, why: Message) -> None:
        super().__init__(why)
        self.why = why


def is_own(
    method: str,
    exchange: bytes,
    status: int,
    headers: Sequence[tuple[bytes, bytes]],
    *,
    received: Received,
    sending: bool,
) -> bool:
    """Return whether the response belongs to the request; False for a failure without an exchange id.

    Such a failure comes from an intermediary, or from an engine that could not parse the request. Its status can be
    classified, but none of its content may reach a client.

    Args:
        method: the method of the request.
        exchange: the id that it was sent with; empty for none.
        status: that of the response.
        headers: those of the response, names in lower case.
        received: the part of the body that was sent to the engine.
        sending: whether the request is not completely sent.

    Raises:
        ForeignAnswer: it belongs to another request, or has no exchange id.
    """
    if not exchange:
        return True
    repeated = [value for name, value in headers if name == _EXCHANGE]
    if not repeated and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return False
    if repeated != [exchange]:
        raise ForeignAnswer(
            Message("problems.answer-to-other-request", status=status)
            if repeated
            else Message("problems.answer-without-exchange", status=status)
        )
    good = not is_error(status)
    if sending:
        if good:
            raise ForeignAnswer(Message("problems.answer-before-request", status=status))
        return True
    repeated_body = [value for name, value in headers if name == _RECEIVED]
    # A rejection need not have read the body, and a handler that uses no body does not read it.
    needed = good and method == "POST" and received
    if (repeated_body or needed) and repeated_body != [str(received).encode()]:
        raise ForeignAnswer(Message("problems.answer-to-other-body", status=status))
    return True
