"""One contract for all frameworks, on a real server: what clients receive, byte for byte."""

import base64
import json
import socket
from collections.abc import Iterator

import pytest

from cqox.resilience import errors
from tests.resilience.adapters.apps import APPS
from tests.resilience.adapters.serving import ERRORS, Answer, Events, ask, served
from tests.waiting import PATIENCE_SECONDS, wait_until


class Service:
    """One served app."""

    def __init__(self, name: str, port: int, events: Events) -> None:
        self.name = name
        self.port = port
        self.events = events


@pytest.fixture(scope="module", params=APPS)
def running(request: pytest.FixtureRequest) -> Iterator[Service]:
    make, backend = APPS[request.param]
    events = Events()
    with served(make(events), backend) as port:
        yield Service(request.param, port, events)


@pytest.fixture
def service(running: Service) -> Service:
    running.events.seen.clear()
    return running


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        ("open", 503, "3"),
        ("isolated", 503, None),
        ("soon", 503, "1"),
        ("draining", 503, "5"),
        ("shed", 503, None),
        ("limited", 429, "7"),
        ("late", 504, None),
        ("slow", 504, None),
        ("group", 503, "10"),
    ],
)
def test_an_error_of_a_policy_is_a_problem_with_its_status_and_wait(
    service: Service, error: str, status: int, retry_after: str | None
) -> None:
    answer = ask(service.port, f"/fail/{error}")
    assert answer.status == status
    assert answer.field("retry-after") == retry_after
    assert answer.field("content-type") == "application/problem+json"
    assert answer.field("content-length") == str(len(answer.body))
    problem = answer.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert set(problem) == {"type", "title", "status", "detail"}
    # Names of parts are no concern of clients.
    assert b"store" not in answer.raw


def test_every_error_of_the_tree_is_asked_for() -> None:
    library = {getattr(errors, name) for name in errors.__all__}
    tree = {kind for kind in library if issubclass(kind, errors.ResilienceError)}
    assert len(tree) == 9
    assert tree - {errors.ResilienceError, errors.Rejected} <= {type(make()) for make in ERRORS.values()}


@pytest.mark.parametrize("error", ["mine", "mixed", "lost"])
def test_other_errors_stay_those_of_the_framework(service: Service, error: str) -> None:
    answer = ask(service.port, f"/fail/{error}")
    if (service.name, error) == ("quart on trio", "mixed"):
        # Quart-Trio answers a group by the first of its errors that has a handler.
        assert answer.status == 503
        return
    assert answer.status == 500
    assert answer.field("retry-after") is None
    assert answer.field("content-type") != "application/problem+json"


@pytest.mark.parametrize("field", ["X-Request-Timeout-Ms: 2500", "x-envoy-expected-rq-timeout-ms: 2500"])
def test_a_request_runs_under_the_time_that_its_caller_gave_it(service: Service, field: str) -> None:
    assert 0.5 < ask(service.port, "/ok", field).json()["remaining"] <= 2.5
    assert 20.0 < ask(service.port, "/ok").json()["remaining"] <= 30.0
    assert 20.0 < ask(service.port, "/ok", "X-Request-Timeout-Ms: 90000").json()["remaining"] <= 30.0


def test_attempt_and_criticality_are_read_and_a_client_only_lowers_its_own(service: Service) -> None:
    lowered = ask(service.port, "/ok", "X-Retry-Attempt: 2", "X-Criticality: sheddable").json()
    assert (lowered["attempt"], lowered["criticality"]) == (2, "sheddable")
    raised = ask(service.port, "/ok", "X-Criticality: critical-plus").json()
    assert (raised["attempt"], raised["criticality"]) == (0, "critical")
    assert ask(service.port, "/health", "X-Criticality: sheddable").json()["criticality"] == "probe"


def test_no_time_is_answered_without_the_handler(service: Service) -> None:
    answer = ask(service.port, "/hang", "X-Request-Timeout-Ms: 0")
    assert answer.status == 504
    assert answer.json() == ask(service.port, "/fail/late").json()
    assert service.events.seen == []


def test_a_handler_that_outlasts_the_time_is_cancelled_and_answered(service: Service) -> None:
    answer = ask(service.port, "/hang", "X-Request-Timeout-Ms: 100")
    assert answer.status == 504
    assert answer.field("content-type") == "application/problem+json"
    wait_until(lambda: service.events.seen == ["handler cancelled"])


@pytest.mark.parametrize(
    ("path", "fields"), [("/stream", ["X-Request-Timeout-Ms: 100"]), ("/refused-later", [])], ids=["late", "refused"]
)
def test_a_response_that_has_begun_is_cut_and_followed_by_nothing(
    service: Service, path: str, fields: list[str]
) -> None:
    answer = ask(service.port, path, *fields)
    assert answer.status in (0, 200)
    assert b"0\r\n\r\n" not in answer.raw
    assert answer.raw.count(b"HTTP/1.1") <= 1
    assert b"problem" not in answer.raw
    if path == "/stream":
        wait_until(lambda: service.events.seen == ["stream cancelled"])
    assert ask(service.port, "/ok").status == 200


def test_background_work_outlives_the_time_of_its_request(service: Service) -> None:
    answer = ask(service.port, "/background", "X-Request-Timeout-Ms: 200")
    assert (answer.status, answer.body) == (200, b"whole")
    wait_until(lambda: service.events.seen == ["background inf", "background done"])


def open_websocket(port: int, path: str) -> socket.socket:
    """Send the handshake; the connection is the caller's to close."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: a",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(b'0123456789abcdef').decode()}",
        "X-Request-Timeout-Ms: 1",
        "X-Criticality: sheddable",
        "",
        "",
    ]
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    connection.sendall("\r\n".join(lines).encode())
    return connection


def test_a_websocket_has_no_deadline_and_its_errors_no_problem(service: Service) -> None:
    with open_websocket(service.port, "/socket") as connection:
        received = b""
        while part := connection.recv(65536):
            received += part
            if b"\x88" in received.partition(b"\r\n\r\n")[2]:
                break
    head, _, frames = received.partition(b"\r\n\r\n")
    assert b" 101 " in head
    assert (frames[0] & 0x0F, frames[1] & 0x80) in ((1, 0), (2, 0))
    in_force = json.loads(frames[2 : 2 + frames[1]])
    assert in_force == {"remaining": 1e9, "attempt": 0, "criticality": "sheddable"}
    # The close of the framework itself after any error.
    code = int.from_bytes(frames[2 + frames[1] + 2 :][:2], "big")
    assert code == {"starlette": 1011, "fastapi": 1011, "quart": 1000, "litestar": 4500}[service.name.split()[0]]


def test_a_websocket_that_fails_before_it_is_accepted_is_refused_by_the_framework(service: Service) -> None:
    with open_websocket(service.port, "/refused-socket") as connection:
        answer = Answer(raw=connection.recv(65536))
    assert answer.status in (403, 500)
    assert answer.field("content-type") != "application/problem+json"
