"""Calls that are not idempotent: retried only where provably no request was sent."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
import httpx
import pytest

from cqox.errors import BulkheadFull, StoreUnavailable
from cqox.resilience import Bulkhead, Hedge, Policy, Retry, propagate, propagate_sync, retry_on_network_error
from cqox.resilience.retry.unsent import attempt_requests
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Run, run_async

UNREACHED = "http://unreached/"


class Net:
    """A transport that answers, redirects, or cannot connect, and notes what has left."""

    def __init__(self, *unreached: str) -> None:
        self.unreached = unreached or ("unreached",)
        self.sent: list[str] = []
        self.tried: list[str] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.tried.append(request.url.host)
        if request.url.host in self.unreached:
            raise httpx.ConnectError("refused")
        self.sent.append(f"{request.method} {request.url.host}")
        if request.url.host == "moved":
            return httpx.Response(307, headers={"location": UNREACHED})
        return httpx.Response(200)

    async def handle_async(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        return self.handle(request)

    def client(self, **options: object) -> httpx.AsyncClient:
        options = {"event_hooks": {"request": [propagate]}, "follow_redirects": True, **options}
        return httpx.AsyncClient(transport=httpx.MockTransport(self.handle_async), **options)


def once(retries: int = 3) -> Policy:
    return Policy(
        "orders", Retry(retries, 0.0, exceptions=(httpx.HTTPError, ExceptionGroup, StoreUnavailable, KeyError))
    )


type Callee = Callable[[Net, httpx.AsyncClient], Awaitable[object]]


async def attempts_of(callee: Callee, net: Net, **options: object) -> int:
    """Number of calls of the callee."""
    calls = 0

    async def call() -> object:
        nonlocal calls
        calls += 1
        async with net.client(**options) as client:
            return await callee(net, client)

    with contextlib.suppress(Exception):
        await once()(call)()
    assert attempt_requests.get() is None
    return calls


async def post(net: Net, client: httpx.AsyncClient) -> object:
    return await client.post(UNREACHED)


async def redirected(net: Net, client: httpx.AsyncClient) -> object:
    return await client.post("http://moved/")


async def one_after_the_other(net: Net, client: httpx.AsyncClient) -> object:
    await client.post("http://up/")
    return await client.post(UNREACHED)


async def of_a_group(net: Net, client: httpx.AsyncClient) -> object:
    async with anyio.create_task_group() as group:
        group.start_soon(client.post, "http://up/")
        group.start_soon(client.post, UNREACHED)
    return None


async def gathered(net: Net, client: httpx.AsyncClient) -> object:
    return await asyncio.gather(client.post("http://up/"), client.post(UNREACHED))


async def in_a_thread(net: Net, client: httpx.AsyncClient) -> object:
    def other() -> None:
        hooks = {"request": [propagate_sync]}
        with httpx.Client(transport=httpx.MockTransport(net.handle), event_hooks=hooks) as sync:
            sync.post("http://up/")

    await anyio.to_thread.run_sync(other)
    return await client.post(UNREACHED)


async def behind_a_retry_of_its_own(net: Net, client: httpx.AsyncClient) -> object:
    await Policy("inner", Retry(3, 0.0))(client.post)("http://up/")
    return await client.post(UNREACHED)


async def an_old_error(net: Net, client: httpx.AsyncClient) -> object:
    if not hasattr(net, "old"):
        try:
            await client.post(UNREACHED)
        except httpx.ConnectError as error:
            net.old = error  # type: ignore[attr-defined]
            raise
    await client.post("http://up/")
    raise net.old  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("callee", "expected"),
    [
        (post, 3),
        (redirected, 1),
        (one_after_the_other, 1),
        (of_a_group, 1),
        (behind_a_retry_of_its_own, 1),
        (an_old_error, 2),
    ],
)
def test_only_a_first_request_that_never_left_lets_a_call_be_repeated(run: Run, callee: Callee, expected: int) -> None:
    async def main() -> None:
        net = Net()
        assert await attempts_of(callee, net) == expected
        assert len(net.sent) <= 1, "a request was sent twice"

    run(main)


@pytest.mark.parametrize("callee", [gathered, in_a_thread])
def test_tasks_and_threads_of_asyncio_count_too(callee: Callee) -> None:
    net = Net()
    assert asyncio.run(attempts_of(callee, net)) == 1
    assert net.sent == ["POST up"]


def test_without_propagate_nothing_proves_that_it_was_the_first(run: Run) -> None:
    async def main() -> None:
        assert await attempts_of(post, Net(), event_hooks={}) == 1

    run(main)


def test_the_name_of_an_exception_proves_nothing() -> None:
    class Refused(Exception):
        sqlstate = "08001"

    for error in (ConnectionRefusedError("refused"), httpx.ConnectError("refused"), Refused(), OSError(111, "refused")):
        calls = 0

        def call(error: Exception = error) -> None:
            nonlocal calls
            calls += 1
            raise error

        with pytest.raises(type(error)):
            Policy("orders", Retry(3, 0.0, clock=FakeClock()))(call)()
        assert calls == 1


def test_an_error_that_wraps_it_is_believed_and_a_group_with_another_is_not(run: Run) -> None:
    async def wrapped(net: Net, client: httpx.AsyncClient) -> object:
        try:
            return await post(net, client)
        except httpx.ConnectError as error:
            raise StoreUnavailable("away") from error

    async def grouped(net: Net, client: httpx.AsyncClient) -> object:
        try:
            return await post(net, client)
        except httpx.ConnectError as error:
            raise ExceptionGroup("both", [error, KeyError("what it had done before")]) from None

    async def alone(net: Net, client: httpx.AsyncClient) -> object:
        try:
            return await post(net, client)
        except httpx.ConnectError as error:
            raise ExceptionGroup("one", [ExceptionGroup("inner", [error])]) from None

    async def main() -> None:
        assert await attempts_of(wrapped, Net()) == 3
        assert await attempts_of(grouped, Net()) == 1
        assert await attempts_of(alone, Net()) == 3

    run(main)


def test_of_two_requests_of_a_hedge_neither_proves_anything(run: Run) -> None:
    async def main() -> None:
        net, calls = Net(), 0

        async def slow(request: httpx.Request) -> httpx.Response:
            nonlocal calls
            calls += 1
            await anyio.sleep(1.0)
            return net.handle(request)

        policy = Policy("orders", Retry(3, 0.0), Hedge(0.1, 2))
        hooks = {"request": [propagate]}
        async with httpx.AsyncClient(transport=httpx.MockTransport(slow), event_hooks=hooks) as client:
            with pytest.raises(httpx.ConnectError):
                await policy(client.post)(UNREACHED)
        assert calls == 2

    run(main)


def test_what_a_gate_of_the_policy_refused_was_never_sent(run: Run) -> None:
    async def main() -> None:
        bulkhead, calls = Bulkhead(1), 0

        async def call() -> None:
            nonlocal calls
            calls += 1
            raise BulkheadFull("of the callee, which may have sent something")

        policy = Policy("orders", Retry(3, 0.0, exceptions=(BulkheadFull,)), bulkhead)
        with bulkhead, pytest.raises(BulkheadFull) as caught:
            await policy(call)()
        assert (calls, bulkhead.snapshot().rejected) == (0, 3)
        assert "3 attempts" not in "".join(getattr(caught.value, "__notes__", ()))
        with pytest.raises(BulkheadFull):
            await policy(call)()
        assert calls == 1

    run(main)


def test_a_bare_decorator_is_idempotent_and_asks_nothing() -> None:
    seen: list[object] = []

    async def main() -> None:
        @retry_on_network_error(2, 0.0)
        async def call() -> None:
            seen.append(attempt_requests.get())
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await call()

    run_async("trio", main)
    assert seen == [None, None]
