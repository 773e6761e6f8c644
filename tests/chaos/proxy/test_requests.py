"""Heads of requests in a stream, however it is cut."""

import pytest

from cqox.chaos.proxy.requests import RequestHeads

STREAM = (
    b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n"
    b"POST /second HTTP/1.1\r\nContent-Length: 27\r\n\r\nGET /no HTTP/1.1\r\nHost: a\r\n"
    b"POST /third HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n12\r\nGET /no HTTP/1.1\r\n\r\n0\r\n\r\n"
    b"GET /fourth?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, 50, 10_000])
def test_every_request_is_found_and_no_body_is_taken_for_one(size: int) -> None:
    heads = RequestHeads()
    body = b"GET /no HTTP/1.1\r\nHost: a\r\n"
    assert len(body) == 27
    found = [target for start in range(0, len(STREAM), size) for target in heads.feed(STREAM[start : start + size])]
    assert found == ["/first", "/second", "/third", "/fourth?x=1"]


def test_bytes_that_are_no_http_yield_nothing() -> None:
    assert RequestHeads().feed(b"\x16\x03\x01 hello \r\n\r\nGET / HTTP/1.1\r\n\r\n") == []
    heads = RequestHeads()
    assert heads.feed(b"x" * 70_000) == []
    assert heads.feed(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n") == []
    assert RequestHeads().feed(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nGET / HTTP/1.1\r\n\r\n"
    ) == ["/"]
