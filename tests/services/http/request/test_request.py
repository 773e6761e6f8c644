import pytest
import trio
import trio.testing
from quart.wrappers.base import ClientDisconnectedError
from werkzeug.datastructures import Headers

from cqox.tasks import open_task_group
from services.http.request.request import IncomingBody, IncomingRequest

MIB = 2**20


@pytest.mark.trio
async def test_chunks_come_out_in_order_and_the_end_is_the_end():
    body = IncomingBody(None, None)
    for data in (b"a", b"", bytes(MIB // 2), b"b"):
        await body.put(data)
    body.set_complete()
    assert [chunk async for chunk in body] == [b"a", bytes(MIB // 2), b"b"]
    assert body.ended


@pytest.mark.trio
async def test_tiny_unread_chunks_are_merged():
    body = IncomingBody(None, None)
    for number in range(100_000):
        await body.put(bytes([number % 251]))
    body.set_complete()
    chunks = [chunk async for chunk in body]
    assert b"".join(chunks) == bytes(number % 251 for number in range(100_000))
    assert len(chunks) == 2


@pytest.mark.trio
async def test_many_bytes_can_be_waited_for(autojump_clock):
    body = IncomingBody(None, None)
    await body.put(bytes(99))
    with trio.move_on_after(1) as early:
        await body.wait_for(100)
    assert early.cancelled_caught
    async with open_task_group() as group:
        group.start_soon(body.wait_for, 100)
        await trio.testing.wait_all_tasks_blocked()
        await body.put(b"x")
    async with open_task_group() as group:
        group.start_soon(body.wait_for, 10**6)
        await trio.testing.wait_all_tasks_blocked()
        body.disconnect()


@pytest.mark.trio
async def test_what_can_be_taken_without_waiting_is_at_hand():
    body = IncomingBody(None, None)
    assert not body.has(1)
    await body.put(b"a")
    assert body.has(1)
    assert await anext(body) == b"a"
    assert not body.has(1)
    body.set_complete()
    assert body.has(1)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/event-stream", True),
        ("TEXT/Event-Stream", True),
        ("application/json;q=0.5, text/event-stream", True),
        ("application/json, text/event-stream;q=0.5", False),
        ("text/*", True),
        ("text/html", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_a_stream_is_given_to_who_would_rather_have_it(accept, wanted):
    assert request_with((b"accept", accept.encode())).wants_events is wanted


def test_only_fields_that_concern_the_call_are_among_its_fields():
    said = [(b"x-request-timeout-ms", b"5"), (b"x-retry-attempt", b"1"), (b"x-criticality", b"sheddable")]
    assert request_with((b"host", b"x"), *said, (b"accept", b"*/*")).call_fields == said


def request_with(*fields):
    headers = Headers([(name.decode(), value.decode()) for name, value in fields])
    scope = {"type": "http", "headers": list(fields), "query_string": b""}
    return IncomingRequest("POST", "http", "/", b"", headers, "", "1.1", scope, send_push_promise=None)


@pytest.mark.trio
async def test_a_full_buffer_makes_the_sender_wait_until_something_is_read():
    body = IncomingBody(None, None)
    await body.put(bytes(MIB))
    async with open_task_group() as group:
        group.start_soon(body.put, b"more")
        await trio.testing.wait_all_tasks_blocked()
        assert body._held == MIB
        assert len(await anext(body)) == MIB
        assert await anext(body) == b"more"


@pytest.mark.trio
async def test_awaiting_the_whole_body_takes_more_than_the_buffer_holds():
    body = IncomingBody(None, None)

    async def send() -> None:
        for _ in range(50):
            await body.put(bytes(100_000))
        body.set_complete()

    async with open_task_group() as group:
        group.start_soon(send)
        assert len(await body) == 5_000_000
        assert len(await body) == 5_000_000


@pytest.mark.trio
async def test_a_client_that_goes_away_ends_the_reading_with_an_error():
    body = IncomingBody(None, None)
    await body.put(b"half")
    body.disconnect()
    assert await anext(body) == b"half"
    with pytest.raises(ClientDisconnectedError):
        await anext(body)


@pytest.mark.trio
async def test_discarding_frees_a_waiting_sender_and_drops_what_follows():
    body = IncomingBody(None, None)
    await body.put(bytes(MIB))
    async with open_task_group() as group:
        group.start_soon(body.put, b"waiting")
        await trio.testing.wait_all_tasks_blocked()
        body.discard()
        with trio.fail_after(60):
            for _ in range(20):
                await body.put(bytes(MIB))
    assert body._held == 0
    body.set_complete()
    await body.wait_ended()


@pytest.mark.trio
async def test_a_cancelled_read_loses_nothing():
    body = IncomingBody(None, None)
    with trio.move_on_after(0.01):
        await anext(body)
    await body.put(b"later")
    assert await anext(body) == b"later"
