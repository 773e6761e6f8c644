"""The interceptors of grpc.aio on a real server on loopback."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import grpc
import grpc.aio
import pytest

from cqox.errors import AttemptTimeout, CircuitOpen, DeadlineExceeded
from cqox.resilience import (
    AttemptFailed,
    CircuitBreaker,
    Criticality,
    Fallback,
    Hedge,
    Policy,
    Retry,
    Timeout,
    criticality,
    deadline,
)
from cqox.resilience.adapters.grpc import resilient_interceptors
from cqox.resilience.testing import capture_events

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


type Call = Callable[[Stub], Coroutine[Any, Any, list[bytes]]]


async def get(stub: Stub) -> list[bytes]:
    return [await stub.get(b"request")]


async def listed(stub: Stub) -> list[bytes]:
    return [message async for message in stub.list(b"request")]


@pytest.fixture(params=[get, listed], ids=["unary", "streamed"])
def call(request: pytest.FixtureRequest) -> Call:
    return request.param


def retrying(attempts: int = 3, **settings: Any) -> Policy:
    return Policy("retrying", Retry(attempts, 0.0, **settings))


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    anyio.run(main, backend="asyncio")


def test_a_call_that_fails_is_repeated_and_says_its_number(call: Call) -> None:
    async def main() -> None:
        async with connected(retrying(), UNAVAILABLE, UNAVAILABLE) as stub:
            assert await call(stub) == [b"fine"]
            numbers = [metadata.get("x-retry-attempt") for metadata in stub.server.metadata]
            assert numbers == [None, "1", "2"]

    run(main)


def test_a_method_that_is_not_idempotent_is_called_once(call: Call) -> None:
    async def main() -> None:
        async with connected(retrying(idempotent=True), UNAVAILABLE, idempotent=False) as stub:
            with pytest.raises(grpc.aio.AioRpcError):
                await call(stub)
            assert len(stub.server.metadata) == 1

    run(main)


def test_the_last_error_reaches_the_caller(call: Call) -> None:
    async def main() -> None:
        with capture_events() as events:
            async with connected(retrying(2), UNAVAILABLE, UNAVAILABLE) as stub:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call(stub)
        assert (caught.value.code(), caught.value.details()) == (UNAVAILABLE, "said so")
        assert [event.error for event in events if isinstance(event, AttemptFailed)][-1] is caught.value

    run(main)


def test_an_error_that_is_an_answer_counts_as_success_and_is_not_repeated(call: Call) -> None:
    breaker = CircuitBreaker("answers", 1, 60.0)

    async def main() -> None:
        async with connected(Policy("answers", breaker, Retry(3, 0.0)), NOT_FOUND) as stub:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(stub)
            assert caught.value.code() is NOT_FOUND
            assert len(stub.server.metadata) == 1

    run(main)
    assert (breaker.snapshot().success, breaker.snapshot().failure) == (1, 0)


def test_the_call_object_has_code_and_details() -> None:
    async def main() -> None:
        async with connected(retrying(1), NOT_FOUND) as stub:
            failed, fine = stub.get(b""), None
            assert (await failed.code(), await failed.details()) == (NOT_FOUND, "said so")
            fine = stub.get(b"")
            assert (await fine, await fine.code()) == (b"fine", grpc.StatusCode.OK)

    run(main)


def test_a_circuit_opens_and_rejects_without_a_call(call: Call) -> None:
    async def main() -> None:
        policy = Policy("guarded", CircuitBreaker("guarded", 2, 60.0))
        async with connected(policy, UNAVAILABLE, UNAVAILABLE) as stub:
            for _ in range(2):
                with pytest.raises(grpc.aio.AioRpcError):
                    await call(stub)
            with pytest.raises(CircuitOpen):
                await call(stub)
            assert len(stub.server.metadata) == 2

    run(main)


def test_each_service_has_its_policy(call: Call) -> None:
    services = retrying()

    async def main() -> None:
        async with connected(services.for_key) as stub:
            await call(stub)
            await call(stub)

    run(main)
    assert list(services.keys()) == ["engine.Engine"]


def test_the_time_left_is_the_deadline_of_the_call(call: Call) -> None:
    async def main() -> None:
        async with connected(retrying(), UNAVAILABLE) as stub:
            with deadline(30.0):
                await call(stub)
            assert len(stub.server.time_left) == 2
            assert all(left is not None and 29 < left < 30.5 for left in stub.server.time_left)

    run(main)


def test_the_callers_own_timeout_stays_where_it_is_shorter(call: Call) -> None:
    async def main() -> None:
        async with connected(retrying()) as stub:
            with deadline(30.0):
                assert await stub.get(b"", timeout=3.0) == b"fine"
            (left,) = stub.server.time_left
            assert left is not None
            assert left < 3.5  # gRPC rounds the time that it sends up

    run(main)


def test_a_service_that_hangs_ends_with_the_deadline_and_is_not_to_blame_for_a_short_one(call: Call) -> None:
    breaker = CircuitBreaker("hanging", 1, 60.0)

    async def main() -> None:
        async with connected(Policy("hanging", breaker, Retry(3, 0.0)), HANG) as stub:
            with pytest.raises(DeadlineExceeded), deadline(0.2):
                await call(stub)
            assert await call(stub) == [b"fine"]
            assert stub.server.cancelled == 1

    run(main)
    assert breaker.snapshot().failure == 0


def test_nothing_is_sent_after_the_deadline(call: Call) -> None:
    async def main() -> None:
        async with connected(retrying()) as stub:
            with pytest.raises(DeadlineExceeded), deadline(0.0):
                await call(stub)
            assert stub.server.metadata == []

    run(main)


def test_an_attempt_that_takes_too_long_is_followed_by_another(call: Call) -> None:
    async def main() -> None:
        async with connected(Policy("slow", Retry(2, 0.0), Timeout(0.2)), HANG, b"late", HANG, HANG) as stub:
            assert await call(stub) == [b"late"]
            with pytest.raises(AttemptTimeout):
                await call(stub)
            assert stub.server.cancelled >= 2

    run(main)


class Scripted:
    """A call of grpc.aio that ends when a test says so."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.cancelled = False
        self.end: Callable[[], None] = lambda: None

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        self.end = lambda: callback(self)
        if self.error is not None:
            self.end()

    def __await__(self) -> Any:
        if self.error is not None:
            raise self.error
        return b"message"
        yield

    def cancel(self) -> None:
        self.cancelled = True


async def intercepted(policy: Policy, continuation: Callable[[Any, Any], Coroutine[Any, Any, Scripted]]) -> object:
    unary: Any = resilient_interceptors(policy, idempotent=lambda _: True)[0]
    details = grpc.aio.ClientCallDetails(GET.encode(), None, None, None, None)
    return await unary.intercept_unary_unary(continuation, details, b"")


def test_an_attempt_that_took_too_long_is_cancelled_before_the_next_begins() -> None:
    made: list[Scripted] = []
    cancelled: list[list[bool]] = []

    async def continuation(details: object, request: object) -> Scripted:
        cancelled.append([each.cancelled for each in made])
        made.append(Scripted())
        return made[-1]

    async def main() -> None:
        with pytest.raises(AttemptTimeout):
            await intercepted(Policy("slow", Retry(2, 0.0), Timeout(0.01)), continuation)

    run(main)
    assert cancelled == [[], [True]]


def test_a_timer_of_grpc_that_fires_before_the_scope_changes_no_exception() -> None:
    async def continuation(details: Any, request: object) -> Scripted:
        assert details.timeout <= 0.04
        return Scripted(
            grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, grpc.aio.Metadata(), grpc.aio.Metadata())
        )

    async def main() -> None:
        with pytest.raises(AttemptTimeout):
            await intercepted(Policy("timer", Timeout(0.04)), continuation)
        with pytest.raises(DeadlineExceeded), deadline(0.04):
            await intercepted(Policy("timer", Retry(2, 0.0)), continuation)

    run(main)


def test_a_hedged_call_whose_answer_is_not_used_is_cancelled() -> None:
    made: list[Scripted] = []

    async def continuation(details: object, request: object) -> Scripted:
        made.append(Scripted())
        return made[-1]

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(intercepted, Policy("both", Hedge(0.01)), continuation)
            with anyio.fail_after(5.0):
                while len(made) < 2:
                    await anyio.sleep(0.005)
            for each in made:
                each.end()

    run(main)
    assert sorted(each.cancelled for each in made) == [False, True]


def test_a_cancelled_call_is_cancelled_at_the_server_and_is_no_verdict(call: Call) -> None:
    breaker = CircuitBreaker("cancelled", 1, 60.0)

    async def main() -> None:
        async with connected(Policy("cancelled", breaker, Retry(3, 0.0)), HANG) as stub:
            async with anyio.create_task_group() as group:
                group.start_soon(call, stub)
                await stub.server.arrived.wait()
                group.cancel_scope.cancel()
            assert await call(stub) == [b"fine"]
            assert stub.server.cancelled == 1

    run(main)
    assert (breaker.snapshot().cancelled, breaker.snapshot().failure) == (1, 0)


def test_criticality_and_the_callers_metadata_are_sent(call: Call) -> None:
    async def main() -> None:
        async with connected(retrying(), UNAVAILABLE) as stub:
            with criticality(Criticality.SHEDDABLE):
                await stub.get(b"", metadata=(("own", "kept"),))
            for metadata in stub.server.metadata:
                assert (metadata["own"], metadata["x-criticality"]) == ("kept", "sheddable")

    run(main)


def test_a_stream_passes_whole_and_an_empty_one_is_empty() -> None:
    async def main() -> None:
        async with connected(retrying(), [b"a", b"b", b"c"], []) as stub:
            assert await listed(stub) == [b"a", b"b", b"c"]
            assert await listed(stub) == []
            call = stub.list(b"")
            assert [await call.read(), await call.read()] == [b"fine", grpc.aio.EOF]

    run(main)


def test_a_stream_is_not_repeated_after_its_first_message() -> None:
    async def main() -> None:
        async with connected(retrying(), [UNAVAILABLE], [b"a", UNAVAILABLE]) as stub:
            messages = aiter(stub.list(b""))
            assert await anext(messages) == b"a"
            with pytest.raises(grpc.aio.AioRpcError):
                await anext(messages)
            assert len(stub.server.metadata) == 2

    run(main)


def test_the_timeout_of_an_attempt_does_not_cut_a_stream_that_has_begun() -> None:
    async def main() -> None:
        async with connected(Policy("begun", Timeout(0.2)), [b"a", HANG]) as stub:
            messages = aiter(stub.list(b""))
            assert await anext(messages) == b"a"
            assert stub.server.time_left == [None]
            with anyio.move_on_after(0.4) as scope:
                await anext(messages)
            assert scope.cancelled_caught

    run(main)


def test_a_hedge_cancels_the_slower_call_and_hedges_no_method_that_is_not_idempotent(call: Call) -> None:
    async def main() -> None:
        async with connected(Policy("hedged", Hedge(0.05)), HANG, b"second") as stub:
            assert await call(stub) == [b"second"]
            assert [metadata.get("x-retry-attempt") for metadata in stub.server.metadata] == [None, "1"]
        async with connected(Policy("alone", Hedge(0.0001)), b"first", idempotent=False) as stub:
            assert await call(stub) == [b"first"]
            assert len(stub.server.metadata) == 1

    run(main)


def test_a_fallback_returns_the_message_or_the_messages(call: Call) -> None:
    async def messages() -> AsyncIterator[bytes]:
        yield b"kept"

    async def main() -> None:
        fallback = Fallback(lambda _: b"kept" if call is get else messages())
        async with connected(Policy("kept", fallback), UNAVAILABLE) as stub:
            assert await call(stub) == [b"kept"]

    run(main)


def test_nonsense_is_refused() -> None:
    with pytest.raises(TypeError, match="policies must be a Policy"):
        resilient_interceptors("engine")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="idempotent must be callable"):
        resilient_interceptors(retrying(), idempotent={GET})  # type: ignore[arg-type]
