"""Requests of foreign web pages to services on this machine: both as processes, by raw requests."""

import json
import re
import socket

import pytest

from services.http.contract.api import OPERATIONS, Operation
from tests.e2e.stack import Stack

FOREIGN = "attacker.example"
EVIL = "http://attacker.example"
BODIES = [each for each in OPERATIONS if isinstance(each.body, type)]
FORM = (
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    b"y,w\n1,0\n2,1\n3,1\n9,0\n\r\n--B--\r\n"
)
UPLOAD = "multipart/form-data; boundary=B"


class Answer:
    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        self.head = head.decode("latin1")
        self.status = int(self.head.split()[1])

    @property
    def problem(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.body)
        return found


def ask(port: int, method: str, path: str, *fields: str, host: str | None = "localhost", body: bytes = b"") -> Answer:
    version = "1.0" if host is None else "1.1"
    lines = [f"{method} {path} HTTP/{version}", "Connection: close", *fields]
    lines += [] if host is None else [f"Host: {host}"]
    lines += [f"Content-Length: {len(body)}"] if body else []
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return Answer(b"".join(iter(lambda: connection.recv(65536), b"")))


@pytest.fixture(params=["gateway", "engine"])
def port(request: pytest.FixtureRequest, stack: Stack) -> int:
    service = stack.gateway if request.param == "gateway" else stack.engine
    return service.port


def path_of(operation: Operation) -> str:
    return re.sub(r"{\w+}", "x", operation.path)


def names_of_data_sets(port: int) -> list[str]:
    return [each["dataset_id"] for each in json.loads(ask(port, "GET", "/api/datasets").body)["datasets"]]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_a_foreign_host_reaches_no_operation_but_health(port: int, operation: Operation) -> None:
    answer = ask(port, operation.method, path_of(operation), host=f"{FOREIGN}:8082")
    if operation.group == "Health":
        assert answer.status in (200, 503)
        return
    assert (answer.status, answer.problem["type"]) == (421, "foreign-host")
    assert FOREIGN in str(answer.problem["detail"])
    assert "CQOX_ALLOWED_HOSTS" in str(answer.problem["detail"])
    members = {"type", "title", "status", "detail", "messages", "instance", "request_id", "field"}
    assert answer.problem.keys() == members
    assert "x-trace" not in answer.head.lower()


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/docs.js", "/openapi.json", "/nothing", "/health/live/", "/%2e"])
def test_a_foreign_host_reaches_nothing_else_either(port: int, path: str) -> None:
    for method in ("GET", "OPTIONS", "TRACE", "DELETE"):
        assert ask(port, method, path, host=FOREIGN).status == 421
    assert ask(port, "HEAD", path, host=FOREIGN).body == b""


@pytest.mark.parametrize(
    "host", ["[::1", "a:b:c", "", "%6cocalhost", "例え.jp", "a" * 4000, "user@localhost", "1.2.3.4:x"]
)
def test_a_malformed_host_is_a_400_and_health_does_not_mind(port: int, host: str) -> None:
    answer = ask(port, "GET", "/api/datasets", host=host)
    assert (answer.status, answer.problem["type"]) == (400, "invalid-request")
    for path in ("/health/live", "/health/ready", "/api/health"):
        # What is longer than any name is refused by the router.
        assert ask(port, "GET", path, host=host).status == (200 if len(host) < 254 else 400)


@pytest.mark.parametrize(
    "host", ["LOCALHOST.:1", "cqox.localhost", "127.0.0.1:80", "[::1]:8082", "[fe80::1%25lo]", "10.1.2.3", None]
)
def test_what_cannot_be_rebound_and_http_1_0_without_a_host_are_answered(port: int, host: str | None) -> None:
    assert ask(port, "GET", "/api/datasets", host=host).status == 200


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.method != "GET"], ids=lambda each: each.name)
@pytest.mark.parametrize(
    "fields",
    [
        (f"Origin: {EVIL}",),
        (f"Origin: {EVIL}", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"),
        ("Origin: http://localhost:3000", "Sec-Fetch-Site: same-site"),
        ("Origin: null",),
        ("Sec-Fetch-Site: cross-site",),
        ("Origin: http://[::1",),
    ],
)
def test_a_page_of_another_site_changes_nothing(port: int, operation: Operation, fields: tuple[str, ...]) -> None:
    kind = "application/json" if isinstance(operation.body, type) else UPLOAD
    body = json.dumps(operation.example or {}).encode() if isinstance(operation.body, type) else FORM
    answer = ask(port, operation.method, path_of(operation), f"Content-Type: {kind}", *fields, body=body)
    assert (answer.status, answer.problem["type"]) == (403, "cross-site-request")


def test_a_form_of_another_site_uploads_nothing_and_that_of_curl_does(port: int) -> None:
    before = names_of_data_sets(port)
    form = (f"Content-Type: {UPLOAD}",)
    for evil in (f"Origin: {EVIL}", "Sec-Fetch-Site: cross-site"):
        assert ask(port, "POST", "/api/datasets?name=a.csv", *form, evil, body=FORM).status == 403
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            raw = (f"Content-Type: {kind}", evil)
            assert ask(port, "POST", "/api/upload?name=a.csv", *raw, body=b"y,w\n1,0\n2,1\n").status == 403
    assert names_of_data_sets(port) == before
    made = ask(port, "POST", "/api/datasets", *form, body=FORM)
    assert made.status == 201
    # As `curl --data-binary @a.csv` sends it.
    raw = ("Content-Type: application/x-www-form-urlencoded",)
    assert ask(port, "POST", "/api/datasets?name=b.csv", *raw, body=b"y,w\n1,0\n2,1\n3,0\n4,1\n").status == 201
    own = ("Origin: http://localhost:8082", "Sec-Fetch-Site: same-origin")
    there = f"/api/datasets/{json.loads(made.body)['dataset_id']}"
    assert ask(port, "DELETE", there, f"Origin: {EVIL}", host="localhost:8082").status == 403
    assert ask(port, "DELETE", there, *own, host="localhost:8082").status == 204


@pytest.mark.parametrize("operation", BODIES, ids=lambda each: each.name)
@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "text/plain; charset=application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=json",
        "application/json, text/plain",
        "text/json",
        "nonsense",
        "",
    ],
)
def test_json_that_does_not_say_so_is_415(port: int, operation: Operation, kind: str | None) -> None:
    fields = () if kind is None else (f"Content-Type: {kind}",)
    answer = ask(port, operation.method, path_of(operation), *fields, body=json.dumps(operation.example).encode())
    if operation.group == "Administration" and answer.status == 404:
        # Without a token the administration is not on a port at all.
        return
    assert (answer.status, answer.problem["type"]) == (415, "unsupported-media-type")
    assert "'Content-Type: application/json'" in str(answer.problem["detail"])
    assert "curl" in str(answer.problem["detail"])


def test_chunks_without_a_type_are_415_and_no_body_at_all_is_400(port: int) -> None:
    chunked = b'15\r\n{"dataset_id":"test"}\r\n0\r\n\r\n'
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = b"POST /api/roles/infer HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked)
        assert Answer(b"".join(iter(lambda: connection.recv(65536), b""))).status == 415
    empty = ask(port, "POST", "/api/roles/infer")
    assert (empty.status, empty.problem["detail"]) == (400, "The body is empty. Send a JSON object.")


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.cqox.v1+json"]
)
def test_json_that_says_so_is_read(port: int, kind: str) -> None:
    fields = (f"Content-Type: {kind}", "Origin: http://localhost", "Sec-Fetch-Site: same-origin")
    assert ask(port, "POST", "/api/roles/infer", *fields, body=b'{"dataset_id":"test"}').status == 200


def test_a_page_behind_the_gateway_is_no_stranger_to_the_engine(stack: Stack) -> None:
    # Without Sec-Fetch-Site, as browsers send it to a plain address: the engine has another host and port.
    fields = ("Content-Type: application/json", f"Origin: http://10.0.0.7:{stack.gateway.port}")
    host = f"10.0.0.7:{stack.gateway.port}"
    answer = ask(stack.gateway.port, "POST", "/api/roles/infer", *fields, host=host, body=b'{"dataset_id":"test"}')
    assert answer.status == 200, answer.body


def test_a_web_socket_is_no_way_in(port: int) -> None:
    upgrade = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==")
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        lines = ["GET /api/datasets HTTP/1.1", "Connection: Upgrade", f"Host: {FOREIGN}", f"Origin: {EVIL}", *upgrade]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert connection.recv(65536).split()[1] in (b"404", b"421")
