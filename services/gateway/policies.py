"""How long and how often the gateway tries its engine: everything between a route and the engine client.

The functions named `_call_engine_…` are what policies go around; an operator meets their names in logs and problems.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from dataclasses import replace

import httpx
import trio

from cqox.errors import DeadlineExceeded, EngineUnavailable
from services.gateway.engine_client import Call, EngineClient, Reply

__all__ = ["EnginePolicies"]

_READ_SECONDS = 30.0
_FAILED = frozenset({500, 502})


class EnginePolicies:
    """Calls of the engine, by what they may cost.

    Every method raises `EngineUnavailable` where the engine cannot be reached, fails or is lost, and `DeadlineExceeded`
    where the time is up; any other answer of the engine is returned as it is. A cancellation cancels the engine's work.

    Args:
        engine: the client.
        analysis_seconds: the deadline of what computes.
    """

    def __init__(self, engine: EngineClient, *, analysis_seconds: float) -> None:
        self._engine = engine
        self._analysis_seconds = analysis_seconds

    async def analyze(self, call: Call) -> Reply:
        """Run an analysis."""
        return await self._within(self._analysis_seconds, _call_engine_analyze, call)

    async def read(self, call: Call) -> Reply:
        """Ask for what is there already, or takes moments to make."""
        return await self._within(_READ_SECONDS, _call_engine_read, call)

    async def upload(self, call: Call) -> Reply:
        """Hand a file on while it arrives; it can be sent once only. The time counts from the last byte sent."""
        with trio.move_on_after(self._analysis_seconds) as scope:

            async def watched(content: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
                async for data in content:
                    yield data
                    scope.deadline = trio.current_time() + self._analysis_seconds

            if not isinstance(call.content, bytes):
                call = replace(call, content=watched(call.content))
            return await _translated(_call_engine_upload, self._engine, call)
        raise DeadlineExceeded(self._analysis_seconds)

    async def ping(self) -> None:
        """Nothing, if the engine lives."""
        reply = await _translated(_call_engine_read, self._engine, Call(method="GET", target=b"/health/live"))
        if reply.status != 200:
            raise EngineUnavailable(f"The engine answered {reply.status} to /health/live.")

    async def _within(self, seconds: float, function: "_EngineCall", call: Call) -> Reply:
        with trio.move_on_after(seconds):
            return await _translated(function, self._engine, call)
        raise DeadlineExceeded(seconds)


type _EngineCall = Callable[[EngineClient, Call], Awaitable[Reply]]


async def _call_engine_analyze(engine: EngineClient, call: Call) -> Reply:
    return await engine.send(call)


async def _call_engine_read(engine: EngineClient, call: Call) -> Reply:
    return await engine.send(call)


async def _call_engine_upload(engine: EngineClient, call: Call) -> Reply:
    return await engine.send(call)


async def _translated(function: _EngineCall, engine: EngineClient, call: Call) -> Reply:
    try:
        reply = await function(engine, call)
    except httpx.ConnectError as error:
        raise EngineUnavailable(f"The engine cannot be reached: {error or type(error).__name__}.") from error
    except httpx.ConnectTimeout as error:
        raise EngineUnavailable("The engine did not accept a connection in time.") from error
    except httpx.TransportError as error:
        raise EngineUnavailable(f"The engine was lost before its answer was whole: {error!r}.") from error
    if reply.status in _FAILED:
        request_id = reply.header(b"x-request-id") or "unknown"
        raise EngineUnavailable(f"The engine failed with {reply.status}; its log has the request id {request_id}.")
    return reply
