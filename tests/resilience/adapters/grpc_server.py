"""A scripted server of gRPC on loopback, and a client with the interceptors."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import grpc
import grpc.aio

from cqox.resilience.adapters.grpc import resilient_interceptors

__all__ = ["GET", "HANG", "LIST", "NOT_FOUND", "UNAVAILABLE", "Server", "Stub", "connected", "run"]


GET, LIST = "/engine.Engine/Get", "/engine.Engine/List"
UNAVAILABLE, NOT_FOUND = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND
HANG = object()


class Server:
    """Follows a script: a status ends a call, HANG never answers, and a list is streamed up to a status in it."""

    def __init__(self, *steps: object) -> None:
        self.steps = deque(steps)
        self.metadata: list[dict[str, str]] = []
        self.time_left: list[float | None] = []
        self.cancelled = 0
        self.arrived = asyncio.Event()

    async def _step(self, context: Any) -> object:
        self.metadata.append(dict(context.invocation_metadata()))
        self.time_left.append(context.time_remaining())
        self.arrived.set()
        return await self._follow(context, self.steps.popleft() if self.steps else b"fine")

    async def _follow(self, context: Any, step: object) -> object:
        if isinstance(step, grpc.StatusCode):
            await context.abort(step, "said so")
        if step is HANG:
            try:
                await asyncio.sleep(60.0)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return step

    async def get(self, request: bytes, context: Any) -> object:
        return await self._step(context)

    async def list(self, request: bytes, context: Any) -> AsyncIterator[object]:
        step = await self._step(context)
        for each in step if isinstance(step, list) else [step]:
            yield await self._follow(context, each)


class Stub:
    def __init__(self, server: Server, channel: grpc.aio.Channel) -> None:
        self.server = server
        self.get = channel.unary_unary(GET)
        self.list = channel.unary_stream(LIST)


@asynccontextmanager
async def connected(policies: Any, *steps: object, idempotent: bool = True, **settings: Any) -> AsyncIterator[Stub]:
    script, server = Server(*steps), grpc.aio.server()
    handlers = {
        "Get": grpc.unary_unary_rpc_method_handler(script.get),
        "List": grpc.unary_stream_rpc_method_handler(script.list),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("engine.Engine", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    interceptors = resilient_interceptors(policies, idempotent=lambda _: idempotent, **settings)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=interceptors) as channel:
            yield Stub(script, channel)
    finally:
        await server.stop(None)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    anyio.run(main, backend="asyncio")
