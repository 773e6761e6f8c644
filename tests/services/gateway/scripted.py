"""Scripted engines in place of the engine client, and the policies in front of them."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
import trio

from cqox.errors import DeadlineExceeded, EngineUnavailable
from cqox.resilience.propagation.http import propagate
from services.gateway.engine_client import Call, Reply, Streamed
from services.gateway.policies import EnginePolicies
from services.gateway.replica import Replica
from services.gateway.replicas import Replicas

CALL = Call(method="POST", target=b"/x", content=b"{}")
REFUSED = httpx.ConnectError("refused")


def reply(status: int = 200, *, body: bytes = b"", **headers: str) -> Reply:
    fields = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return Reply(status=status, headers=fields, body=body)


DRAINING = reply(503, body=b'{"type": "draining"}')

type Act = Reply | Exception | Callable[[], Awaitable[Reply]]


class Engine:
    """A scripted engine client, which repeats the last step of its script."""

    def __init__(self, *acts: Act, alive: bool = True) -> None:
        self.acts = list(acts) or [reply()]
        self.alive = alive
        self.closed = False
        self.refusal: Reply | httpx.ConnectError = REFUSED
        self.calls: list[tuple[float, Call, int]] = []
        self.probes: list[float] = []
        self.received = 0
        self.cancelled = 0
        self.running = 0

    async def send(self, call: Call) -> Reply:
        if call.target == b"/health/live":
            self.probes.append(trio.current_time())
            if self.closed:
                if isinstance(self.refusal, Reply):
                    return self.refusal
                raise self.refusal
            if not self.alive:
                await trio.sleep_forever()
            return reply()
        request = httpx.Request("POST", "http://engine/")
        await propagate(request)
        self.calls.append((trio.current_time(), call, int(request.headers.get("X-Retry-Attempt", "0"))))
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        if isinstance(act, httpx.ConnectError):
            raise act
        self.running += 1
        try:
            if not isinstance(call.content, bytes):
                async for data in call.content:
                    self.received += len(data)
            await trio.lowlevel.checkpoint()
            if isinstance(act, Exception):
                raise act
            return act if isinstance(act, Reply) else await act()
        except trio.Cancelled:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def begin(self, call: Call) -> Streamed:
        return Streamed.of(await self.send(call))


def policies(*engines: Engine) -> EnginePolicies:
    return EnginePolicies(
        Replicas([Replica(f"http://engine-{number}", engine) for number, engine in enumerate(engines)])
    )


def taking(seconds: float) -> Callable[[], Awaitable[Reply]]:
    async def take() -> Reply:
        await trio.sleep(seconds)
        return reply()

    return take


async def analyze(made: EnginePolicies, seconds: float = 120.0) -> Reply:
    return await made.analyze(CALL, seconds=seconds)


def disable_circuits(made: EnginePolicies) -> None:
    for policy in made._policies:
        policy.disable()


async def fail(made: EnginePolicies, times: int = 1, seconds: float = 120.0) -> None:
    for _ in range(times):
        with pytest.raises((EngineUnavailable, DeadlineExceeded)):
            await analyze(made, seconds)


async def watched(made: EnginePolicies, nursery: trio.Nursery) -> None:
    for replica in made._replicas.all():
        nursery.start_soon(replica.watch)


def problem(kind: str, status: int = 503) -> Reply:
    return reply(status, body=b'{"type": "%s"}' % kind.encode(), retry_after="2")
