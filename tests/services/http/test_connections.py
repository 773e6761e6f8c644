"""Half-open and half-closed connections, and connections with malformed HTTP."""

import json
import logging
import os
import resource
import socket
import struct
import sys
import time
from pathlib import Path

import httpx
import pytest

from services.http.server.serving import _AcceptErrorFilter
from tests.services.http.connections import connected, in_flight, read_all
from tests.waiting import wait_until

APP = str(Path(__file__).parent / "served_app.py")


def descriptors(service) -> int:
    return len(os.listdir(f"/proc/{service.process.pid}/fd"))


def test_a_connection_that_its_client_has_closed_is_closed_at_once(start):
    service = start(APP)
    assert httpx.get(f"{service.url}/now").status_code == 200
    before = descriptors(service)
    for number in range(40):
        with connected(service) as connection:
            if number % 2:
                connection.sendall(b"GET /now HTTP/1.1\r\nhost: x\r\n\r\n")
                connection.recv(1000)
    wait_until(lambda: descriptors(service) <= before + 2)


@pytest.mark.parametrize("seconds", ["0.0", "0.7"])
def test_a_client_that_closes_its_side_after_its_request_gets_the_answer(start, seconds):
    service = start(APP)
    with connected(service) as connection:
        connection.sendall(f"GET /slow/{seconds} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    # Interim responses come before it: they distinguish a client that has left from one that still reads.
    last = answer[answer.rindex(b"HTTP/1.1 ") :]
    assert last.startswith(b"HTTP/1.1 200")
    assert last.rstrip().endswith(b'{"answer":"slow"}')
    service.wait_line(f"GET /slow/{seconds} 200")


def test_pipelined_requests_are_all_answered_after_the_client_has_closed_its_side(start):
    service = start(APP)
    with connected(service) as connection:
        connection.sendall(3 * b"GET /slow/0.1 HTTP/1.1\r\nhost: x\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).count(b'{"answer":"slow"}') == 3


def test_a_client_that_leaves_while_it_has_more_requests_waiting_leaves_nothing_behind(start):
    service = start(APP)
    for _ in range(3):
        with connected(service) as connection:
            connection.sendall(b"GET /huge HTTP/1.1\r\nhost: x\r\n\r\n" + 2 * b"GET /now HTTP/1.1\r\nhost: x\r\n\r\n")
            connection.recv(1000)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with connected(service) as connection:
        connection.sendall(2 * b"GET /now HTTP/1.1\r\nhost: x\r\n\r\n")
        connection.recv(1000)
    wait_until(lambda: in_flight(service) == 0)
    assert service.stop() == 0


def test_a_client_that_reads_slowly_after_it_has_closed_its_side_is_not_taken_for_gone(start):
    service = start(APP, DRAIN_SECONDS="0.1")
    with connected(service) as connection:
        connection.sendall(b"GET /huge HTTP/1.1\r\nhost: x\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        for _ in range(5):
            assert connection.recv(65536)
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("sent", "status", "words", "line"),
    [
        (b"GET /now?x=1 HTTP/1.1\r\nX-Request-Id: mine\r\n\r\n", 400, "exactly one Host header", "GET /now 400"),
        (
            b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: a\r\nX-Request-Id: mine\r\n\r\n",
            400,
            "single number",
            "",
        ),
        (
            b"POST /json HTTP/1.1\r\nX-Request-Id: mine\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
            501,
            "chunked",
            "",
        ),
        (b"GET /now HTTP/1.1\r\nX-Request-Id: mine\r\nA: " + b"a" * 100_000 + b"\r\n\r\n", 431, "head", "GET /now 431"),
        (b"GET /now HTTP/1.1\r\nX-Request-Id: mine\r\nHost: x\r\n bad\x00\r\n\r\n", 400, "HTTP/1.1", "GET /now 400"),
        (
            b"POST /json HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
            400,
            "a chunk is malformed",
            "POST /json 400",
        ),
    ],
)
def test_what_is_no_http_is_a_problem_with_an_id_that_the_log_has(start, sent, status, words, line):
    service = start(APP)
    with connected(service) as connection:
        connection.sendall(sent)
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status}".encode())
    assert b"content-type: application/problem+json" in head
    assert b"x-request-id: mine" in head
    problem = json.loads(body)
    assert (problem["status"], problem["request_id"]) == (status, "mine")
    assert words in problem["detail"]
    logged = json.loads(service.wait_line(line or f" /json {status}"))
    assert (logged["request_id"], logged["logger"]) == ("mine", "cqox.access")


def test_what_is_not_even_a_line_of_http_is_a_problem_too(start):
    service = start(APP)
    with connected(service) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
        problem = json.loads(read_all(connection).partition(b"\r\n\r\n")[2])
    assert problem["detail"] == "The received data are not an HTTP/1.1 request."
    assert problem["request_id"] in service.wait_line("- - 400")


def test_a_path_with_slashes_too_many_is_a_problem_and_no_page(start):
    service = start(APP)
    with connected(service) as connection:
        connection.sendall(b"GET //api//health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404")
    assert json.loads(body)["type"] == "no-such-path"


def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one(start):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limited = f"import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (100, {hard})); "
    service = start("-c", limited + f"runpy.run_path({APP!r}, run_name='__main__')")
    assert service.url
    limits = Path(f"/proc/{service.process.pid}/limits").read_text()
    assert next(line for line in limits.splitlines() if "open files" in line).split()[3] == str(hard)


def test_no_more_descriptors_is_one_line_without_a_traceback_now_and_then():
    one_line = _AcceptErrorFilter()

    def accepted() -> logging.LogRecord | None:
        try:
            raise OSError(24, "Too many open files")
        except OSError:
            record = logging.LogRecord("trio.serve_listeners", logging.ERROR, "", 0, "accept", (), sys.exc_info())
        return record if one_line.filter(record) else None

    first = accepted()
    assert first is not None
    assert first.exc_info is None
    assert accepted() is None


def test_lines_of_others_have_the_request_id_of_what_they_are_written_for(start):
    program = (
        "import logging; from services.http.server import serving; from services.http.server.app import App; "
        "from services.http.observability.logs import set_up_logging; from services.config.settings import Settings\n"
        "set_up_logging(level='info', format='json', service='x'); app = App('x', title='X', settings=Settings())\n"
        "@app.get('/said')\n"
        "async def said():\n"
        "    logging.getLogger('cqox.resilience').warning('said by another')\n"
        "    return {}\n"
        "serving.serve(app)"
    )
    service = start("-c", program)
    for name in ("one", "two"):
        httpx.get(f"{service.url}/said", headers={"X-Request-Id": name})
    service.stop()
    said = [json.loads(line) for line in service.lines if "said by another" in line]
    assert [line["request_id"] for line in said] == ["one", "two"]
