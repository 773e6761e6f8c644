"""Usual messages are those that h11 writes and parses; everything else is left to it."""

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.gateway.engine_request import EngineRequest, OutgoingFields, Target
from services.gateway.usual_messages import read_usual_head, written_usual

type Fields = list[tuple[bytes, bytes]]

NAMES = st.sampled_from(
    [b"etag", b"x-a", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect", b"x_y", b"", b"x:"]
)
VALUES = st.one_of(
    st.sampled_from([b"", b"a", b"a b\tc", b" a", b"5", b"5, 5", b"05", b"-5", b"9" * 16, b"chunked", b"a\r\nb: c"]),
    st.binary(max_size=3),
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
METHODS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "CONNECT", "OPTIONS", "G T"])
TARGETS = st.sampled_from([b"/", b"/a?b=c", b"/a b", b"/\r\n", b"*", b"http://b/"])

STATUS_LINES = st.sampled_from(
    [
        b"HTTP/1.1 %d%s" % (status, rest)
        for status in (100, 200, 204, 304, 404, 599, 600)
        for rest in (b"", b" ", b" OK")
    ]
    + [b"HTTP/1.0 200 OK", b"HTTP/2.0 200", b"HTTP/1.1 20", b"HTTP/1.1  200", b"http/1.1 200", b"\r\nHTTP/1.1 200"]
)
LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"content-length: 5",
                b"Content-Length:7",
                b"content-length: +5",
                b"content-length: 5 ",
                b"connection: close",
                b"Transfer-Encoding: chunked",
                b"a:  b  c ",
                b"a:",
                b"a: ",
                b" folded",
                b"a : b",
                b"a: \xe9",
                b"a: \x00",
                b"a: \x7f",
                b"a",
            ]
        ),
        st.binary(max_size=4),
    ),
    max_size=4,
)
ENDS = st.sampled_from([b"\r\n", b"\n", b"\r"])


def request(method: str, target: bytes, fields: Fields, content: bytes) -> EngineRequest:
    at = Target(raw=target, path="/", url="http://engine/")
    return EngineRequest(method=method, target=at, headers=OutgoingFields([*fields]), content=content)


def by_h11(one: EngineRequest, content: bytes) -> bytes:
    peer = h11.Connection(h11.CLIENT)
    written = peer.send(h11.Request(method=one.method, target=one.target.raw, headers=one.head_fields(b"engine")))
    written = (written or b"") + ((peer.send(h11.Data(content)) or b"") if content else b"")
    return written + (peer.send(h11.EndOfMessage()) or b"")


@given(METHODS, TARGETS, FIELDS, st.sampled_from([b"", b"{}"]))
@example("GET", b"/", [(b"a", b"b\nc:d")], b"")
@example("GET", b"/", [(b"a", b"b"), (b"a", b"c")], b"")
def test_a_usual_request_is_the_one_that_h11_writes(method: str, target: bytes, fields: Fields, content: bytes) -> None:
    one = request(method, target, fields, content)
    ours = written_usual(one, b"engine")
    if ours is not None:
        assert ours == by_h11(one, content)


@given(STATUS_LINES, LINES, ENDS, st.sampled_from([b"", b"12345", b"123456789"]))
@example(b"HTTP/1.1 200 OK", [b"content-length: 5", b"Content-Length:7"], b"\r\n", b"")
@example(b"HTTP/1.1 200 OK", [b"content-length: 5", b"a:  b  c "], b"\r\n", b"12345")
def test_a_usual_head_is_the_one_that_h11_parses(line: bytes, lines: list[bytes], end: bytes, body: bytes) -> None:
    data = b"".join(part + end for part in [line, *lines, b""])
    found = read_usual_head(data + body)
    if found is None:
        return
    head, size_bytes, length = found
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(data + body)
    theirs = peer.next_event()
    assert isinstance(theirs, h11.Response)
    assert (head.status_code, head.headers, size_bytes) == (theirs.status_code, list(theirs.headers), len(data))
    assert length == int(dict(theirs.headers)[b"content-length"])
    assert peer.our_state is h11.DONE


def test_what_is_usual_goes_without_h11() -> None:
    fields = [(b"content-type", b"application/json"), (b"x-request-id", b"a")]
    assert written_usual(request("POST", b"/api?a=b", fields, b"{}"), b"engine:1") == (
        b"POST /api?a=b HTTP/1.1\r\nHost: engine:1\r\ncontent-type: application/json\r\nx-request-id: a\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )
    answer = b"HTTP/1.1 200 \r\nContent-Type: text/a\r\ncontent-length: 2\r\nempty:\r\n\r\n"
    found = read_usual_head(answer + b"ok")
    assert found is not None
    head, size_bytes, length = found
    assert head.headers == [(b"content-type", b"text/a"), (b"content-length", b"2"), (b"empty", b"")]
    assert (head.status_code, size_bytes, length) == (200, len(answer), 2)


def test_a_request_with_a_host_of_its_own_is_left_to_h11() -> None:
    assert written_usual(request("GET", b"/", [(b"host", b"a")], b""), b"engine") is None


@pytest.mark.parametrize("name", [b"connection", b"transfer-encoding", b"upgrade", b"expect", b"content-length"])
def test_fields_about_the_connection_are_left_to_h11(name: bytes) -> None:
    assert written_usual(request("GET", b"/", [(name, b"2")], b""), b"engine") is None
    assert read_usual_head(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n%s: 2\r\n\r\n" % name) is None


@pytest.mark.parametrize("status", [100, 101, 204, 304, 600])
def test_statuses_whose_length_is_another_are_left_to_h11(status: int) -> None:
    assert read_usual_head(b"HTTP/1.1 %d OK\r\ncontent-length: 2\r\n\r\n" % status) is None


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "OPTIONS"])
def test_methods_whose_answers_are_others_are_left_to_h11(method: str) -> None:
    assert written_usual(request(method, b"/", [], b""), b"engine") is None


def test_an_incomplete_head_is_left_to_h11() -> None:
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
    assert all(read_usual_head(whole[:cut]) is None for cut in range(len(whole)))
