"""Calls of the asynchronous client on what a server keeps, where several answers make one."""

import pytest

from cqox.client import AsyncClient
from cqox.errors import NotFound
from tests.client.scripted import URL, Scripted, answer, problem

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]


def entry(seq: int) -> dict[str, object]:
    text = dict.fromkeys(("event_id", "at", "tenant", "kind", "action", "object", "outcome", "request_id"), "x")
    return {**text, "seq": seq, "subject": "local", "previous": "0" * 64, "digest": "1" * 64}


async def test_the_log_is_asked_for_page_by_page_as_far_as_it_is_read() -> None:
    server = Scripted(
        answer({"entries": [entry(3), entry(2)], "next": "2"}), answer({"entries": [entry(1)], "next": None})
    )
    async with AsyncClient(URL, transport=server.transport) as client:
        entries = client.audit(about="dataset:d")
        assert server.requests == []
        assert [(await anext(entries)).seq, (await anext(entries)).seq] == [3, 2]
        assert len(server.requests) == 1
        assert [each.seq async for each in entries] == [1]
    assert [request.url.params.get("before") for request in server.requests] == [None, "2"]


async def test_an_erasure_that_nobody_knows_is_not_found() -> None:
    async with AsyncClient(URL, transport=Scripted(problem(404, "not-found")).transport) as client:
        with pytest.raises(NotFound):
            await client.erasure("e")
