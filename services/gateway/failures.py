"""What an answer of the engine means to the policies around the call: fine, a failure, or come back later."""

import httpx

from cqox.errors import CqoxError, EngineUnavailable
from services.gateway.engine_client import Reply

__all__ = ["EngineBusy", "EngineFailed", "EngineLost", "EngineStalled", "checked", "lost", "worth_another_try"]

_FAILED = frozenset({500, 502, 503, 504})
_WORTH_ANOTHER_TRY = frozenset({502, 503})


class EngineFailed(EngineUnavailable):
    """The engine answered that it failed.

    Attributes:
        response: its answer; `Retry-After` is read from it.
    """

    def __init__(self, reply: Reply) -> None:
        request_id = reply.header(b"x-request-id") or "unknown"
        super().__init__(f"The engine failed with {reply.status}; its log has the request id {request_id}.")
        self.response = reply


class EngineLost(EngineUnavailable):
    """The engine could not be reached, or was lost before its answer was whole."""


class EngineStalled(EngineUnavailable):
    """The engine no longer answered its liveness probe while it had a request to answer."""


class EngineBusy(CqoxError):
    """The engine is well and took nothing: it refuses for load, or is shutting down. No failure to a circuit.

    Attributes:
        response: its answer, which goes to the client if no other engine takes the request.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"The engine answered {reply.status} and took nothing.")
        self.response = reply


def checked(reply: Reply) -> Reply:
    """The reply, if it is an answer to the request, whatever its status.

    Raises:
        EngineBusy: 429, or 503 because the engine is shutting down.
        EngineFailed: 500, 502, 503 or 504 otherwise.
    """
    if reply.status == 429 or (reply.status == 503 and b'"draining"' in reply.body[:200]):
        raise EngineBusy(reply)
    if reply.status in _FAILED:
        raise EngineFailed(reply)
    return reply


def lost(error: httpx.TransportError) -> EngineLost:
    """An exception of the transport in the words of the gateway."""
    if isinstance(error, httpx.ConnectError):
        return EngineLost(f"The engine cannot be reached: {error or type(error).__name__}.")
    if isinstance(error, httpx.ConnectTimeout):
        return EngineLost("The engine did not accept a connection in time.")
    return EngineLost(f"The engine was lost before its answer was whole: {error!r}.")


def worth_another_try(error: Exception) -> bool:
    """Whether the same request may fare better in a moment, or elsewhere."""
    if isinstance(error, EngineFailed):
        return error.response.status in _WORTH_ANOTHER_TRY
    return isinstance(error, EngineBusy | EngineLost | EngineStalled)
