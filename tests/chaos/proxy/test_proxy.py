"""The proxy between real sockets: what each condition does to a connection, and that it is over with the condition."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio

from cqox.chaos.proxy import Conditions, FaultProxy, HttpFault, open_proxy

pytestmark = pytest.mark.trio

BODY = bytes(range(256)) * 400


@asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """A server that sends back what it gets, and then ends."""

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(OSError, trio.BrokenResourceError):
            async for piece in stream:
                await stream.send_all(piece)
            await stream.send_eof()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def proxied() -> AsyncIterator[FaultProxy]:
    async with echoing() as port, open_proxy("127.0.0.1", port, seed=1) as proxy:
        yield proxy


async def echoed(proxy: FaultProxy, data: bytes) -> bytes:
    """Send everything at once, and return what came back before the end."""
    async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream, trio.open_nursery() as nursery:

        async def send() -> None:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(data)
                await stream.send_eof()

        nursery.start_soon(send)
        found = b""
        with suppress(trio.BrokenResourceError):
            async for piece in stream:
                found += piece
        return found


async def test_without_a_fault_every_byte_and_the_end_pass() -> None:
    async with proxied() as proxy:
        assert await echoed(proxy, BODY) == BODY
        assert (proxy.accepted, proxy.reset, proxy.corrupted) == (1, 0, 0)


async def test_everything_is_late_in_both_directions_and_stays_in_order() -> None:
    async with proxied() as proxy:
        await proxy.apply(Conditions(latency=0.1, jitter=0.09))
        begin = trio.current_time()
        assert await echoed(proxy, BODY) == BODY
        # Twice at least the shortest way.
        assert trio.current_time() - begin >= 0.02


async def test_a_rate_bounds_a_connection() -> None:
    async with proxied() as proxy:
        await proxy.apply(Conditions(bytes_per_second=len(BODY) * 4))
        begin = trio.current_time()
        assert await echoed(proxy, BODY) == BODY
        assert trio.current_time() - begin >= 0.25


async def test_a_slow_reader_gets_everything_later() -> None:
    async with proxied() as proxy:
        await proxy.apply(Conditions(read_bytes_per_second=20_000))
        begin = trio.current_time()
        assert await echoed(proxy, BODY[:8000]) == BODY[:8000]
        assert trio.current_time() - begin >= 0.3


@pytest.mark.parametrize("conditions", [Conditions(hold_to=True), Conditions(hold_from=True)])
async def test_a_partition_holds_what_is_sent_and_delivers_it_at_its_end(conditions: Conditions) -> None:
    async with proxied() as proxy:
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            async with proxy.under(conditions):
                await stream.send_all(b"held")
                with trio.move_on_after(0.2) as scope:
                    await stream.receive_some()
                assert scope.cancelled_caught
            with trio.fail_after(30):
                assert await stream.receive_some() == b"held"


async def test_a_refusing_proxy_resets_what_is_open_and_listens_on_the_same_port_again() -> None:
    async with proxied() as proxy:
        port = proxy.port
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"x")
            assert await stream.receive_some() == b"x"
            async with proxy.under(Conditions(refuse=True)):
                with trio.fail_after(30), pytest.raises(trio.BrokenResourceError):
                    await stream.receive_some()
                with pytest.raises(OSError):
                    await trio.open_tcp_stream("127.0.0.1", port)
        assert proxy.port == port
        assert await echoed(proxy, b"again") == b"again"


async def test_a_connection_is_reset_after_so_many_bytes() -> None:
    async with proxied() as proxy:
        await proxy.apply(Conditions(reset_after=1000))
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            await stream.send_all(BODY[:3000])
            found = b""
            with trio.fail_after(30), suppress(trio.BrokenResourceError):
                while piece := await stream.receive_some():
                    found += piece
        assert found in (BODY[:1000], b"")
        assert proxy.reset == 1


async def test_bytes_are_changed_and_counted() -> None:
    async with proxied() as proxy:
        await proxy.apply(Conditions(corrupt=1.0))
        found = await echoed(proxy, BODY)
        assert len(found) == len(BODY)
        assert 0 < sum(a != b for a, b in zip(found, BODY, strict=True)) <= proxy.corrupted


async def test_a_lost_packet_comes_later() -> None:
    async with proxied() as proxy:
        await proxy.apply(Conditions(stall=1.0, stall_seconds=0.2))
        begin = trio.current_time()
        assert await echoed(proxy, b"x") == b"x"
        assert trio.current_time() - begin >= 0.4


async def test_a_target_that_is_away_is_a_reset() -> None:
    async with proxied() as proxy:
        proxy._target = ("127.0.0.1", 1)
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            with trio.fail_after(30), pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()


@pytest.mark.parametrize("action", ["abort", "replace"])
async def test_only_requests_for_the_path_meet_an_http_fault(action: str) -> None:
    request = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"
    async with proxied() as proxy:
        await proxy.apply(Conditions(http=HttpFault(action=action, path="/api/analyze", status=502)))  # type: ignore[arg-type]
        assert await echoed(proxy, request % b"/health") == request % b"/health"
        found = await echoed(proxy, request % b"/api/analyze/x")
        if action == "replace":
            assert found.startswith(b"HTTP/1.1 502 ")
        else:
            assert found == b""
        assert proxy.replaced == 1


async def test_a_delayed_request_passes_unchanged() -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with proxied() as proxy:
        await proxy.apply(Conditions(http=HttpFault(action="delay", seconds=0.2)))
        begin = trio.current_time()
        assert await echoed(proxy, request) == request
        assert trio.current_time() - begin >= 0.2
