import os
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing

from cqox.tasks import open_task_group
from services.config.settings import Settings
from services.http.server.app import App
from services.http.server.serving import _Server
from services.http.server.sockets import listen
from tests.services.http.connections import connected, in_flight
from tests.waiting import PATIENCE_SECONDS, wait_until

APP = str(Path(__file__).parents[1] / "served_app.py")
# The hard stop comes five seconds after the grace, and what is to end without it may take longer on a busy machine.
NOT_HARD = (
    "-c",
    "import runpy; from services.http.server import serving; serving._HARD_EXTRA_SECONDS = 600.0; "
    f"runpy.run_path({APP!r}, run_name='__main__')",
)
LINES = (
    "[Gateway] Received signal SIGTERM, initiating shutdown...",
    "[Gateway] Stopped accepting new requests",
    "[Gateway] Waiting for in-flight requests...",
    "[Gateway] Shutting down gracefully...",
)


class Asked:
    """A request in the background of the test."""

    def __init__(self, url: str) -> None:
        self.answer: httpx.Response | Exception | None = None
        self._thread = threading.Thread(target=self._ask, args=(url,), daemon=True)
        self._thread.start()

    def _ask(self, url: str) -> None:
        try:
            self.answer = httpx.get(url, timeout=PATIENCE_SECONDS, trust_env=False)
        except httpx.TransportError as error:
            self.answer = error

    def wait(self) -> httpx.Response | Exception | None:
        self._thread.join(PATIENCE_SECONDS)
        return self.answer


def test_a_signal_is_followed_by_the_four_lines_in_order_and_exit_status_0(start):
    service = start(APP)
    assert httpx.get(f"{service.url}/now").json() == {"answer": "now"}
    assert service.stop() == 0
    assert service.has_in_order(*LINES)


def test_an_interrupt_drains_like_a_termination(start):
    service = start(APP)
    assert service.url
    assert service.stop(signal.SIGINT) == 0
    assert service.has_in_order("[Gateway] Received signal SIGINT, initiating shutdown...", *LINES[1:])


def test_a_request_in_flight_finishes_after_the_signal_while_new_connections_are_refused(start):
    service = start(APP)
    asked = Asked(f"{service.url}/slow/5.0")
    wait_until(lambda: in_flight(service) >= 1)
    service.send_signal(signal.SIGTERM)
    service.wait_line(LINES[2])
    with pytest.raises(ConnectionRefusedError):
        connected(service)
    assert not any(LINES[3] in line for line in service.lines)
    answer = asked.wait()
    assert isinstance(answer, httpx.Response)
    assert (answer.status_code, answer.json()) == (200, {"answer": "slow"})
    assert service.end() == 0
    assert service.has_in_order(*LINES[:3], "GET /slow/5.0 200", LINES[3])


def test_a_kept_alive_connection_does_not_delay_the_drain(start):
    service = start(APP, DRAIN_SECONDS="600")
    with httpx.Client(trust_env=False) as client:
        for _ in range(3):
            assert client.get(f"{service.url}/now").status_code == 200
        assert service.stop() == 0


def test_a_connection_that_never_sent_a_request_does_not_delay_the_drain(start):
    service = start(APP, DRAIN_SECONDS="600")
    with connected(service), connected(service) as half:
        half.sendall(b"GET /now HTT")
        assert httpx.get(f"{service.url}/now").status_code == 200
        assert service.stop() == 0


def test_a_kept_alive_connection_is_used_again(start):
    service = start(APP)
    with connected(service) as connection:
        for _ in range(5):
            connection.sendall(b"GET /now HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b'{"answer":"now"}' in _read_response(connection)


def test_what_is_left_at_the_end_of_the_grace_is_answered_503_and_the_exit_status_is_1(start):
    service = start(*NOT_HARD, DRAIN_SECONDS="0.3")
    asked = Asked(f"{service.url}/slow/600.0")
    wait_until(lambda: in_flight(service) >= 1)
    assert service.stop() == 1
    answer = asked.wait()
    assert isinstance(answer, httpx.Response)
    assert answer.status_code == 503
    assert answer.json()["type"] == "draining"
    assert answer.headers["Retry-After"]
    assert service.has_in_order(*LINES[:3], "1 request was cut after 0.3 s: GET /slow/600.0", LINES[3])


def test_a_second_signal_ends_at_once(start):
    service = start(APP, DRAIN_SECONDS="600")
    asked = Asked(f"{service.url}/slow/600.0")
    wait_until(lambda: in_flight(service) >= 1)
    service.send_signal(signal.SIGTERM)
    service.wait_line(LINES[2])
    assert service.stop() == 1
    assert isinstance(asked.wait(), httpx.TransportError)
    assert service.has_in_order(*LINES[:3], "again, ending at once: 1 request cut")


def test_readiness_is_refused_during_the_delay_before_the_sockets_close(start):
    service = start(APP, DRAIN_DELAY="5")
    assert httpx.get(f"{service.url}/health/ready").status_code == 200
    service.send_signal(signal.SIGTERM)
    service.wait_line(LINES[0])
    answer = httpx.get(f"{service.url}/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "draining")
    assert answer.headers["Connection"] == "close"
    assert httpx.get(f"{service.url}/health/live").status_code == 200
    assert httpx.get(f"{service.url}/now").status_code == 200
    assert service.end() == 0
    assert service.has_in_order(LINES[0], "GET /health/ready 503", LINES[1])


def test_a_client_that_stops_reading_cannot_hold_the_process(start):
    service = start(*NOT_HARD, DRAIN_SECONDS="0.3")
    with connected(service) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /huge HTTP/1.1\r\nhost: x\r\n\r\n")
        connection.recv(1000)
        wait_until(lambda: in_flight(service) >= 1)
        assert service.stop() == 1
    assert service.has_in_order(*LINES, "resources closed"), "\n".join(service.lines)


def test_a_handler_that_blocks_the_loop_cannot_hold_the_process(start):
    service = start(APP, DRAIN_SECONDS="0.1", DRAIN_DELAY="3")
    with connected(service) as connection:
        service.send_signal(signal.SIGTERM)
        service.wait_line(LINES[0])
        connection.sendall(b"GET /busy/600.0 HTTP/1.1\r\nhost: x\r\n\r\n")
        assert service.end() == 1
    assert service.has_in_order("stopping hard")


def test_a_client_that_leaves_cancels_its_handler_at_once(start):
    service = start(APP)
    with connected(service) as connection:
        connection.sendall(b"GET /slow/600.0 HTTP/1.1\r\nhost: x\r\n\r\n")
        wait_until(lambda: in_flight(service) >= 1)
    service.wait_line("handler cancelled")
    service.wait_line("GET /slow/600.0 499")


def test_it_answers_while_it_warms_and_says_that_it_is_starting(start):
    service = start(APP, WARM_SECONDS="5")
    answer = httpx.get(f"{service.url}/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "starting")
    assert httpx.get(f"{service.url}/now").status_code == 200
    wait_until(lambda: httpx.get(f"{service.url}/health/ready").status_code == 200)


def test_a_task_of_the_app_that_breaks_ends_the_process_with_status_1(start):
    service = start(APP)
    assert httpx.post(f"{service.url}/break").status_code == 200
    assert service.end() == 1
    assert service.has_in_order("a task broke")


def test_a_task_of_a_resource_that_breaks_ends_the_process_with_status_1_too(start):
    service = start(APP)
    assert httpx.post(f"{service.url}/break/resource").status_code == 200
    assert service.end() == 1
    assert service.has_in_order("a resource of the app failed")
    assert service.has_in_order("a task broke")


def test_an_answer_that_comes_before_the_body_was_read_reaches_a_client_that_is_still_sending(start):
    service = start(APP)
    pieces = 40
    head = f"POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: {pieces * 10_000}\r\n\r\n".encode()
    with connected(service) as connection:
        connection.sendall(head)
        for _ in range(pieces):
            connection.sendall(bytes(10_000))
            time.sleep(0.01)
        answer = _read_response(connection)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'{"refused":true}' in answer


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_an_offer_to_change_the_protocol_is_ignored(start, protocol):
    service = start(APP)
    with connected(service) as connection:
        connection.sendall(
            f"GET /now HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n"
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n".encode()
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert httpx.get(f"{service.url}/now").status_code == 200
    assert service.stop() == 0
    assert not any('"error"' in line for line in service.lines)


def test_http_2_is_answered_by_a_problem_of_http_1(start):
    service = start(APP)
    with connected(service) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        assert connection.recv(1000).startswith(b"HTTP/1.1 505")


def slowly(pieces: int):
    for _ in range(pieces):
        yield bytes(10_000)
        time.sleep(0.01)


@pytest.mark.trio
async def test_it_says_that_it_accepts_no_more_only_once_its_sockets_are_closed(monkeypatch):
    app, said = App(__name__, title="Gateway", settings=Settings()), []
    sockets = listen("127.0.0.1", 0)
    server = _Server(app, sockets, drain_seconds=1, drain_delay=0)

    def say(message: str, *args: object) -> None:
        said.append((message % args, [one.fileno() for one in sockets]))

    monkeypatch.setattr(server, "_say", say)
    # The hard stop would end the test run some seconds later.
    monkeypatch.setattr(server, "_arm", lambda seconds: None)
    async with open_task_group() as group:
        group.start_soon(server.run)
        await trio.testing.wait_all_tasks_blocked()
        os.kill(os.getpid(), signal.SIGTERM)
    assert [line for line, _ in said][1:] == [line.removeprefix("[Gateway] ") for line in LINES]
    assert -1 not in said[1][1]
    assert all(descriptors == [-1] for _, descriptors in said[2:])


def _read_response(connection: socket.socket) -> bytes:
    connection.settimeout(PATIENCE_SECONDS)
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
