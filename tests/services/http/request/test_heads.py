"""Validation of request heads, on heads that h11 has parsed or refused."""

import h11
import pytest

from services.http.request.heads import RefusedRequest, RequestLine, body_bytes, check_head


def parsed(head: bytes) -> h11.Request:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1000)
    connection.receive_data(head)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    return event


def request(line: bytes = b"GET /api/jobs HTTP/1.1", *fields: bytes) -> h11.Request:
    return parsed(b"\r\n".join([line, b"Host: x", *fields, b"", b""]))


@pytest.mark.parametrize(
    ("line", "fields", "status"),
    [
        (b"GET / HTTP/2.0", (), 505),
        (b"POST / HTTP/1.0", (b"Transfer-Encoding: chunked",), 400),
        (b"POST / HTTP/1.1", (b"Content-Length: 1", b"Transfer-Encoding: chunked"), 400),
        (b"CONNECT x:80 HTTP/1.1", (), 501),
        (b"get / HTTP/1.1", (), 501),
        (b"GET nowhere HTTP/1.1", (), 400),
    ],
)
def test_what_h11_accepts_and_the_service_does_not_is_refused(
    line: bytes, fields: tuple[bytes, ...], status: int
) -> None:
    with pytest.raises(RefusedRequest) as caught:
        check_head(request(line, *fields), probes_only=False)
    assert caught.value.status == status


def test_the_target_of_an_acceptable_head_is_parsed() -> None:
    target = check_head(request(b"GET /a%20b?c=d HTTP/1.1"), probes_only=False)
    assert (target.path, target.query) == (b"/a%20b", b"c=d")


@pytest.mark.parametrize(
    ("path", "accepted"), [(b"/health/live", True), (b"/api/health", True), (b"/api/jobs", False), (b"/healthy", False)]
)
def test_a_connection_for_probes_may_request_only_health(path: bytes, accepted: bool) -> None:
    head = request(b"GET " + path + b" HTTP/1.1")
    if accepted:
        assert check_head(head, probes_only=True).path == path
        return
    with pytest.raises(RefusedRequest) as caught:
        check_head(head, probes_only=True)
    assert caught.value.status == 503


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ((), 0),
        ((b"Content-Length: 0",), 0),
        ((b"Content-Length: 2",), 2),
        ((b"Transfer-Encoding: chunked",), None),
    ],
)
def test_the_size_of_a_body_is_known_unless_it_is_sent_in_chunks(fields: tuple[bytes, ...], size: int | None) -> None:
    assert body_bytes(request(b"POST / HTTP/1.1", *fields)) == size


@pytest.mark.parametrize(
    ("head", "method", "path", "request_id"),
    [
        (b"GET /a?token=x HTTP/1.1\r\nX-Request-Id: abc\r\n", "GET", "/a", "abc"),
        (b"GET ?x HTTP/1.1", "GET", "?x", None),
        (b"POST /a", "POST", "/a", None),
        (b"\x16\x03\x01", "-", "", None),
        (b"", "-", "", None),
        (b"GET /" + b"a" * 3000, "GET", "/" + "a" * 1999, None),
        (b"GET /a HTTP/1.1\nx-request-id:  id\n", "GET", "/a", "id"),
    ],
)
def test_the_available_part_of_a_head_is_parsed_without_its_query(
    head: bytes, method: str, path: str, request_id: str | None
) -> None:
    line = RequestLine.of(head)
    assert line == RequestLine(method, path, request_id)
    assert str(line) == f"{method} {path or '-'}"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 1100, "request.head-too-large"),
        (b"GET / HTTP/1.1\r\n\r\n", "request.no-single-host"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n", "request.malformed-content-length"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "request.other-transfer-encoding"),
        (b"hello\r\n\r\n", "request.no-http-request"),
    ],
)
def test_an_error_of_h11_becomes_what_the_client_has_to_change(data: bytes, code: str) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1000)
    connection.receive_data(data)
    with pytest.raises(h11.RemoteProtocolError) as caught:
        connection.next_event()
    refused = RefusedRequest.of(caught.value, max_head_bytes=1000)
    assert (refused.status, refused.detail.code) == (caught.value.error_status_hint, code)
