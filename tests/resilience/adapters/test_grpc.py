"""The interceptors of grpc.aio on a real server on loopback."""

from collections.abc import AsyncIterator, Callable, Coroutine
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
from tests.resilience.adapters.grpc_server import GET, HANG, NOT_FOUND, UNAVAILABLE, Stub, connected, run

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
