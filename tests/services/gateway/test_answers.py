"""Handling of arbitrary responses from the engine's port: the client's response and the log lines."""

import json

import httpx
import pytest

ANALYZE = "/api/analyze/comprehensive"
BODY = b'{"dataset_id": "test", "mapping": {"y": "y"}}'
JSON = {"Content-Type": "application/json"}
ONCE = {"X-Retry-Attempt": "1", "X-Request-Id": "alice-42", **JSON}


@pytest.fixture
def gateway_before(start, raw):
    return lambda answer: start("-m", "services.gateway", ENGINE_URL=raw(answer).url)


def answer(status: str, body: bytes = b"", kind: str = "application/json", more: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n".encode()
    return head + more + b"\r\n" + body


def logged(gateway, request_id: str) -> list[dict]:
    gateway.stop()
    lines = [json.loads(line) for line in gateway.lines]
    return [line for line in lines if line.get("request_id") == request_id and line["level"] != "info"]


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (
            answer("200 OK", b"<html>portal</html>", "text/html"),
            "Content-Type is text/html, but must be application/json",
        ),
        (answer("200 OK", b"{not json"), "JSON is truncated or malformed"),
        (b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{"a":', "JSON is truncated or malformed"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "status 204"),
        (answer("302 Found", more=b"location: http://127.0.0.1:1/\r\n"), "status 302"),
        (answer("501 No"), "failed with status 501"),
        (answer("599 Odd"), "failed with status 599"),
        (answer("999 Odd"), "status 999"),
        (b"", "closed without an answer"),
    ],
)
def test_what_is_no_answer_of_an_engine_is_a_503_and_on_the_log_with_its_id(gateway_before, sent, words):
    gateway = gateway_before(sent)
    got = httpx.post(gateway.url + ANALYZE, content=BODY, headers=ONCE)
    assert (got.status_code, got.headers["Content-Type"]) == (503, "application/problem+json")
    assert words in got.json()["detail"]
    assert got.headers["Retry-After"]
    lines = logged(gateway, "alice-42")
    assert [line["event"].split()[0] for line in lines] == ["[Retry]", "engine-unavailable"]
    assert all(words in json.dumps(line) for line in lines)


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (answer("429 Slow", b"slow", "text/plain"), "rate-limited"),
        (
            answer("429 Slow", b'{"type": "bulkhead-full", "detail": "Full."}', "application/problem+json"),
            "bulkhead-full",
        ),
        (answer("503 No", b'{"type": "store-unavailable"}', "application/problem+json"), "store-unavailable"),
    ],
)
def test_a_refusal_of_the_engine_is_a_problem_that_says_when_to_come_back_and_is_on_the_log(gateway_before, sent, kind):
    gateway = gateway_before(sent)
    got = httpx.post(gateway.url + ANALYZE, content=BODY, headers={"X-Request-Id": "alice-42", **JSON})
    assert got.headers["Content-Type"] == "application/problem+json"
    assert got.json()["type"] == kind
    assert got.headers["Retry-After"] == "1"
    (line,) = logged(gateway, "alice-42")
    assert (line["event"], line["status"], line["path"]) == (kind, got.status_code, ANALYZE)


def test_a_full_disk_of_the_engine_is_passed_on_unchanged_without_retry_after(gateway_before):
    body = b'{"type": "insufficient-storage", "detail": "The disk is full."}'
    gateway = gateway_before(answer("507 Insufficient Storage", body, "application/problem+json"))
    got = httpx.post(gateway.url + ANALYZE, content=BODY, headers=ONCE)
    assert (got.status_code, got.content, got.headers["Content-Type"]) == (507, body, "application/problem+json")
    assert "Retry-After" not in got.headers


def test_a_504_of_an_intermediary_becomes_a_problem(gateway_before):
    gateway = gateway_before(answer("504 Gateway Timeout", b"<html>", "text/html"))
    got = httpx.post(gateway.url + ANALYZE, content=BODY, headers=ONCE)
    assert (got.status_code, got.json()["type"]) == (504, "deadline-exceeded")


STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'id: 1\nevent: step\ndata: {"step": "read"}\n\n'


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def test_a_stream_whose_engine_dies_ends_with_an_event_that_says_so(gateway_before):
    gateway = gateway_before(STREAM + chunk(EVENT))
    got = httpx.post(
        gateway.url + ANALYZE, content=BODY, headers={"Accept": "text/event-stream", "X-Request-Id": "alice-42", **JSON}
    )
    first, last, rest = got.content.split(b"\n\n")
    assert (first + b"\n\n", rest) == (EVENT, b"")
    name, _, data = last.partition(b"\ndata: ")
    assert name == b"event: failed"
    problem = json.loads(data)
    assert (problem["type"], problem["request_id"]) == ("engine-unavailable", "alice-42")
    assert problem["detail"].endswith("the connection was closed in the middle of the answer.")
    (line,) = logged(gateway, "alice-42")
    assert "ended before its last event: The connection to the engine was lost" in line["event"]


@pytest.mark.parametrize("what", ["in the middle of an event", "the events of a job"])
def test_where_no_last_word_would_be_true_the_stream_is_cut_and_the_log_says_why_plainly(gateway_before, what):
    in_event = what == "in the middle of an event"
    gateway = gateway_before(STREAM + chunk(EVENT[:-1] if in_event else EVENT))
    method, path = ("POST", ANALYZE) if in_event else ("GET", "/api/jobs/x/events")
    headers = {"Accept": "text/event-stream", "X-Request-Id": "alice-42"}
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.request(method, gateway.url + path, headers=headers)
    (line,) = (line for line in logged(gateway, "alice-42") if line["level"] == "error")
    assert line["event"] == "response cut"
    assert line["error"].endswith("complete: the connection was closed in the middle of the answer.")
