"""A proxied request has the members that Quart's request of the same scope has."""

from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from quart_trio.asgi import TrioASGIHTTPConnection

from services.config.settings import Settings
from services.http.request.proxied import AnyRequest, ProxiedRequest
from services.http.request.request import IncomingRequest
from services.http.server.app import App

NAMES = st.sampled_from(
    [
        *(b"content-type", b"content-length", b"transfer-encoding", b"x-request-id", b"x-cqox-exchange"),
        *(b"accept-language", b"x-request-timeout-ms", b"x-criticality", b"user-agent", b"remote-addr"),
    ]
)
VALUES = st.sampled_from(
    [
        *(b"", b"application/json", b'Text/CSV ; charset="x', b"3", b"-3", b"x", b"chunked", b"Chunked, gzip"),
        *(b"r-1", b"0" * 32, b"ja, en;q=0.5", b"\xe9", b"100, 5"),
    ]
)
QUERIES = st.sampled_from([b"", b"lang=ja", b"lang=xx&lang=ja", b"a=%FF&lang=en", b"lang", b"&&lang=%6aa"])
MEMBERS = (
    *("method", "path", "query_string", "http_version", "remote_addr", "exchange", "call_fields", "language"),
    *("content_length", "mimetype", "url_rule", "view_args", "is_foreign", "client_deadline_passed", "received"),
)
APP = App("gateway", title="Gateway", settings=Settings())


def both(scope: dict[str, Any]) -> tuple[AnyRequest, AnyRequest]:
    made = TrioASGIHTTPConnection(APP, scope)._create_request_from_scope(None)
    assert isinstance(made, IncomingRequest)
    return ProxiedRequest(scope), made


def scope_of(**members: Any) -> dict[str, Any]:
    scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/a", "raw_path": b"/a"}
    scope |= {"query_string": b"", "root_path": "", "headers": [], "client": ("127.0.0.1", 9), "server": None}
    return scope | members


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), QUERIES, st.sampled_from(["/a/b", "//a", "/é"]))
@settings(max_examples=300)
def test_a_request_has_the_members_of_quarts(headers: list[tuple[bytes, bytes]], query: bytes, path: str) -> None:
    ours, theirs = both(scope_of(headers=headers, query_string=query, path=path))
    for member in MEMBERS:
        assert getattr(ours, member) == getattr(theirs, member), member
    assert ours.args.get("lang") == theirs.args.get("lang")
    assert ours.wants_events == theirs.wants_events
    # Quart adds the address of the client as a field.
    assert [(name.lower(), value) for name, value in theirs.text_fields()][1:] == ours.text_fields()
    for name in {name.decode() for name, _ in headers} - {"remote-addr"}:
        assert ours.values_of(name) == theirs.values_of(name)
    if any(name == b"x-request-id" and value == b"r-1" for name, value in headers[:1]):
        assert ours.request_id == theirs.request_id == "r-1"


@pytest.mark.parametrize("client", [None, ("10.0.0.1", 1)])
def test_a_client_without_an_address_is_a_local_one(client: tuple[str, int] | None) -> None:
    ours, theirs = both(scope_of(client=client, method="post"))
    assert (ours.remote_addr, ours.method) == (theirs.remote_addr, theirs.method)


@pytest.mark.trio
async def test_the_body_is_one_that_waits_for_its_reader() -> None:
    request = ProxiedRequest(scope_of())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(request.body.put, b"ab")
        assert await anext(request.body) == b"ab"
    request.body.set_complete()
    assert [data async for data in request.body] == []
