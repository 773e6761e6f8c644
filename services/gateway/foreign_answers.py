"""Detection of a response that belongs to another request.

HTTP/1.1 matches responses to requests by order alone: after one surplus response on a keep-alive connection, every
request gets the response to another. So each request carries an exchange id (`EXCHANGE`) that its response repeats.
"""

from http import HTTPStatus

import h11
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


def is_own(request: httpx.Request, head: h11.Response, *, received: Received, sending: bool) -> bool:
    """Return whether the response belongs to the request; False for a failure without an exchange id.

    Such a failure comes from an intermediary, or from an engine that could not parse the request. Its status can be
    classified, but none of its content may reach a client.

    Args:
        request: the request.
        head: the head of the response.
        received: the part of the body that was sent to the engine.
        sending: whether the request is not completely sent.

    Raises:
        ForeignAnswer: it belongs to another request, or has no exchange id.
    """
    sent = request.headers.get(EXCHANGE, "").encode()
    if not sent:
        return True
    repeated = [value for name, value in head.headers if name == _EXCHANGE]
    if not repeated and head.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return False
    if repeated != [sent]:
        raise ForeignAnswer(
            Message("problems.answer-to-other-request", status=head.status_code)
            if repeated
            else Message("problems.answer-without-exchange", status=head.status_code)
        )
    good = not is_error(head.status_code)
    if sending:
        if good:
            raise ForeignAnswer(Message("problems.answer-before-request", status=head.status_code))
        return True
    repeated_body = [value for name, value in head.headers if name == _RECEIVED]
    # A rejection need not have read the body, and a handler that uses no body does not read it.
    needed = good and request.method == "POST" and received
    if (repeated_body or needed) and repeated_body != [str(received).encode()]:
        raise ForeignAnswer(Message("problems.answer-to-other-body", status=head.status_code))
    return True
