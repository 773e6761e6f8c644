"""The contract of all adapters of HTTP clients, each on its real library and a server on loopback."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from cqox.errors import AttemptTimeout, CircuitOpen, DeadlineExceeded
from cqox.resilience import (
    AttemptFailed,
    CircuitBreaker,
    Criticality,
    Policy,
    Retry,
    Timeout,
    criticality,
    deadline,
    idempotency_key,
)
from cqox.resilience.testing import FakeClock, capture_events
from tests.resilience.adapters.http_clients import Client, Options, World, worlds
from tests.resilience.adapters.scripted_server import DROP, HANG, Answer, refusing, serving

BUSY = Answer(503, b"busy", {"X-Own": "kept"})


@pytest.fixture(params=list(worlds()), ids=lambda world: world.name)
def world(request: pytest.FixtureRequest) -> World:
    return request.param


@pytest.fixture(params=[each for each in worlds() if each.asynchronous], ids=lambda world: world.name)
def async_world(request: pytest.FixtureRequest) -> World:
    return request.param


def retrying(attempts: int = 3, **settings: Any) -> Policy:
    return Policy("retrying", Retry(attempts, 0.0, **settings))


def test_a_response_passes_unchanged_and_the_first_attempt_says_nothing(world: World) -> None:
    with serving(Answer(404, b"none", {"X-Own": "kept"})) as server:

        async def scenario(client: Client) -> None:
            got = await client.request("GET", server.url)
            assert (got.status, got.body, got.headers["x-own"]) == (404, b"none", "kept")

        world.run(retrying(), scenario)
        assert len(server.requests) == 1
        assert not {"x-retry-attempt", "x-request-timeout-ms", "x-criticality", "idempotency-key"} & set(
            server.requests[0].headers
        )


def test_a_failed_response_is_followed_by_another_attempt_that_says_its_number(world: World) -> None:
    with serving(BUSY, BUSY) as server:

        async def scenario(client: Client) -> None:
            assert (await client.request("GET", server.url)).body == b"fine"

        world.run(retrying(), scenario)
        assert [seen.headers.get("x-retry-attempt") for seen in server.requests] == [None, "1", "2"]
        if world.name != "aiohttp":  # it reads the body behind the caller's back, which may come too late
            assert server.connections == 1


def test_the_caller_gets_the_last_response_whole(world: World) -> None:
    with serving(BUSY, BUSY, Answer(503, b"still busy", {"X-Own": "kept"})) as server:

        async def scenario(client: Client) -> None:
            got = await client.request("GET", server.url)
            assert (got.status, got.body, got.headers["x-own"]) == (503, b"still busy", "kept")

        world.run(retrying(), scenario)
        assert len(server.requests) == 3


def test_a_status_that_is_no_failure_is_not_retried(world: World) -> None:
    with serving(Answer(500), BUSY) as server:

        async def scenario(client: Client) -> None:
            assert (await client.request("GET", server.url)).status == 500
            assert (await client.request("GET", server.url)).status == 503

        world.run(retrying(), scenario, Options(failure_statuses={429}))
        assert len(server.requests) == 2


def test_the_clients_own_exception_reaches_the_caller(world: World) -> None:
    with refusing() as url, capture_events() as events:

        async def scenario(client: Client) -> None:
            with pytest.raises(client.error) as caught:
                await client.request("GET", url)
            failed = [event for event in events if isinstance(event, AttemptFailed)]
            assert len(failed) == 3
            assert failed[-1].error is caught.value

        world.run(retrying(), scenario)


def test_a_post_whose_answer_is_lost_is_not_sent_twice(world: World) -> None:
    with serving(DROP) as server:

        async def scenario(client: Client) -> None:
            with pytest.raises(client.error):
                await client.request("POST", server.url, content=b"once")

        world.run(retrying(idempotent=True), scenario)
        assert [(seen.method, seen.body) for seen in server.requests] == [("POST", b"once")]


def test_a_post_that_failed_is_not_sent_twice(world: World) -> None:
    with serving(BUSY) as server:

        async def scenario(client: Client) -> None:
            got = await client.request("POST", server.url, content=b"once")
            assert (got.status, got.body) == (503, b"busy")

        world.run(retrying(idempotent=True), scenario)
        assert len(server.requests) == 1


def test_a_post_that_was_never_sent_is_repeated(world: World) -> None:
    with refusing() as url, capture_events() as events:

        async def scenario(client: Client) -> None:
            with pytest.raises(client.error):
                await client.request("POST", url, content=b"often")

        world.run(retrying(), scenario)
        assert sum(isinstance(event, AttemptFailed) for event in events) == 3


def test_a_post_with_a_key_is_repeated_with_it(world: World) -> None:
    with serving(BUSY, BUSY) as server:

        async def scenario(client: Client) -> None:
            got = await client.request("POST", server.url, {"Idempotency-Key": "mine"}, b"again")
            assert got.status == 200

        world.run(retrying(), scenario)
        assert [(seen.body, seen.headers["idempotency-key"]) for seen in server.requests] == [(b"again", "mine")] * 3


def test_all_attempts_of_a_post_have_the_key_of_their_call(world: World) -> None:
    with serving(BUSY, Answer(), BUSY) as server:

        async def scenario(client: Client) -> None:
            assert (await client.request("POST", server.url, content=b"a")).status == 200
            with idempotency_key("of the block"):
                assert (await client.request("POST", server.url, content=b"b")).status == 200

        world.run(retrying(idempotency_key=True), scenario)
        keys = [seen.headers["idempotency-key"] for seen in server.requests]
        assert keys[0] == keys[1]
        assert keys[2:] == ["of the block"] * 2


@pytest.mark.parametrize(("method", "said", "sent"), [("POST", True, 2), ("GET", False, 1), ("DELETE", None, 2)])
def test_the_user_may_say_what_is_idempotent(world: World, method: str, said: bool | None, sent: int) -> None:
    with serving(BUSY) as server:

        async def scenario(client: Client) -> None:
            await client.request(method, server.url)

        world.run(retrying(), scenario, Options(said_idempotent=said))
        assert len(server.requests) == sent


def test_a_body_that_is_a_stream_is_sent_once(world: World) -> None:
    with serving(BUSY) as server:

        async def scenario(client: Client) -> None:
            assert (await client.request("PUT", server.url, content=b"stream", streamed=True)).status == 503

        world.run(retrying(), scenario)
        assert [seen.body for seen in server.requests] == [b"stream"]


def test_what_the_server_asks_for_is_waited(world: World) -> None:
    clock = FakeClock()
    with serving(Answer(429, headers={"Retry-After": "7"})) as server:

        async def scenario(client: Client) -> None:
            assert (await client.request("GET", server.url)).status == 200

        world.run(retrying(jitter=False, clock=clock), scenario)
    assert clock.sleeps == [7.0]


def test_a_long_body_of_a_failed_response_does_not_keep_the_connection_from_the_next_attempt(world: World) -> None:
    endless = Answer(503, b"x" * 100_000, chunked=True)
    with serving(endless, endless) as server:

        async def scenario(client: Client) -> None:
            assert (await client.request("GET", server.url)).body == b"fine"

        world.run(retrying(), scenario)
        assert (len(server.requests), server.connections) == (3, 3)


def test_a_circuit_opens_and_rejects_without_a_connection(world: World) -> None:
    breaker = CircuitBreaker("busy", 3, 60.0)
    with serving(*[BUSY] * 9) as server:

        async def scenario(client: Client) -> None:
            for _ in range(3):
                assert (await client.request("POST", server.url, content=b"")).status == 503
            with pytest.raises(CircuitOpen) as caught:
                await client.request("POST", server.url, content=b"")
            assert caught.value.__context__ is None

        world.run(Policy("guarded", breaker, Retry(3, 0.0)), scenario)
        assert (len(server.requests), server.connections) == (3, 1)


def test_a_circuit_that_opens_between_attempts_leaves_no_response_open(world: World) -> None:
    breaker = CircuitBreaker("inside", 1, 60.0)
    endless = Answer(503, b"x" * 100_000, chunked=True)
    with serving(endless) as server:

        async def scenario(client: Client) -> None:
            with pytest.raises(CircuitOpen):
                await client.request("GET", server.url)
            breaker.reset()
            assert (await client.request("GET", server.url)).status == 200

        world.run(Policy("inside", Retry(2, 0.0, exceptions=lambda _: True), breaker), scenario)


def test_the_request_of_a_redirect_is_a_call_of_its_own(world: World) -> None:
    with serving(BUSY, Answer(302, headers={"Location": "/next"}), BUSY) as server:

        async def scenario(client: Client) -> None:
            assert (await client.request("GET", f"{server.url}/first")).body == b"fine"

        world.run(retrying(), scenario)
        assert [(seen.path, seen.headers.get("x-retry-attempt")) for seen in server.requests] == [
            ("/first", None),
            ("/first", "1"),
            ("/next", None),
            ("/next", "1"),
        ]


def test_a_post_is_not_repeated_because_the_redirect_behind_it_was_never_sent(world: World) -> None:
    with refusing() as nowhere, serving(Answer(307, headers={"Location": nowhere})) as server:
        outer = Retry(2, 0.0)

        async def scenario(client: Client) -> None:
            call = Policy("around the client", outer)
            with pytest.raises(client.error):
                await call.call(client.request, "POST", server.url)

        world.run(retrying(1), scenario)
        assert len(server.requests) == 1


def test_the_remaining_time_is_sent_with_each_attempt(world: World) -> None:
    with serving(BUSY) as server:

        async def scenario(client: Client) -> None:
            with deadline(60.0):
                await client.request("GET", server.url)

        world.run(retrying(), scenario)
        first, second = (int(seen.headers["x-request-timeout-ms"]) for seen in server.requests)
        assert 0 < second <= first <= 60_000


def test_nothing_is_sent_after_the_deadline(world: World) -> None:
    with serving() as server:

        async def scenario(client: Client) -> None:
            clock = FakeClock()
            with deadline(5.0, clock=clock):
                clock.advance(5.0)
                with pytest.raises(DeadlineExceeded):
                    await client.request("GET", server.url)

        world.run(retrying(), scenario)
        assert server.connections == 0


def test_a_server_that_hangs_ends_with_the_deadline_and_is_not_to_blame_for_a_short_one(world: World) -> None:
    breaker = CircuitBreaker("hanging", 1, 60.0)
    with serving(HANG) as server:

        async def scenario(client: Client) -> None:
            with pytest.raises(DeadlineExceeded), deadline(0.2):
                await client.request("GET", server.url)
            assert (await client.request("GET", server.url)).status == 200

        world.run(Policy("hanging", breaker, Retry(3, 0.0)), scenario)
        assert len(server.requests) == 2
        assert breaker.snapshot().failure == 0


def test_an_attempt_that_takes_too_long_is_followed_by_another(world: World) -> None:
    with serving(HANG) as server:

        async def scenario(client: Client) -> None:
            assert (await client.request("GET", server.url)).status == 200

        world.run(Policy("slow", Retry(2, 0.0), Timeout(0.3)), scenario)
        assert int(server.requests[1].headers["x-request-timeout-ms"]) <= 300


def test_a_post_that_takes_too_long_is_not_sent_twice(world: World) -> None:
    with serving(HANG) as server:

        async def scenario(client: Client) -> None:
            with pytest.raises(AttemptTimeout if client.asynchronous else Exception):
                await client.request("POST", server.url)

        world.run(Policy("slow", Retry(2, 0.0, idempotent=True), Timeout(0.3)), scenario)
        assert len(server.requests) == 1


def test_criticality_is_sent(world: World) -> None:
    with serving() as server:

        async def scenario(client: Client) -> None:
            with criticality(Criticality.SHEDDABLE):
                await client.request("GET", server.url)

        world.run(retrying(), scenario)
        assert server.requests[0].headers["x-criticality"] == "sheddable"


def test_each_host_has_its_policy(world: World) -> None:
    hosts = Policy("hosts", CircuitBreaker("hosts", 1, 60.0))

    with serving(BUSY) as down, serving() as up:

        async def scenario(client: Client) -> None:
            assert (await client.request("GET", down.url)).status == 503
            with pytest.raises(CircuitOpen):
                await client.request("GET", down.url)
            for _ in range(2):
                assert (await client.request("GET", up.url)).status == 200

        world.run(hosts.for_key, scenario)
        assert set(hosts.keys()) == {down.host, up.host}


async def cancel_when(happens: Callable[[], bool], client: Client, url: str) -> None:
    """Send a request and cancel it when something happens."""
    with anyio.fail_after(5.0):
        async with anyio.create_task_group() as group:
            group.start_soon(client.request, "GET", url)
            while not happens():
                await anyio.sleep(0.005)
            group.cancel_scope.cancel()


def test_a_cancelled_request_gives_its_connection_back_and_is_no_verdict(async_world: World) -> None:
    breaker = CircuitBreaker("cancelled", 1, 60.0)
    with serving(HANG) as server:

        async def scenario(client: Client) -> None:
            await cancel_when(server.arrived.is_set, client, server.url)
            assert (await client.request("GET", server.url)).status == 200

        async_world.run(Policy("cancelled", breaker, Retry(3, 0.0)), scenario)
        assert len(server.requests) == 2
        assert (breaker.snapshot().failure, breaker.snapshot().cancelled) == (0, 1)


def test_a_request_that_is_cancelled_in_a_pause_closes_the_failed_response(async_world: World) -> None:
    pauses: list[object] = []
    with serving(Answer(503, b"x" * 100_000, chunked=True)) as server:

        async def scenario(client: Client) -> None:
            await cancel_when(lambda: bool(pauses), client, server.url)
            assert (await client.request("GET", server.url)).status == 200

        async_world.run(Policy("paused", Retry(2, 60.0, on_retry=pauses.append)), scenario)
        assert len(server.requests) == 2
