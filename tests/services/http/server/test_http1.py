"""One connection on the wire: hostile input, which must not stop the server, and its responses."""

import json
import signal
import socket
import struct
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.services.http.connections import connected, in_flight, read_all
from tests.waiting import wait_until

APP = str(Path(__file__).parents[1] / "served_app.py")
ONE = b"GET /now HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def answer_to(service, sent: bytes) -> bytes:
    with connected(service) as connection:
        connection.sendall(sent)
        return read_all(connection)


def cpu_seconds(service) -> float:
    fields = Path(f"/proc/{service.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_bytes_after_the_last_request_do_not_stop_the_server(start):
    service = start(APP)
    for sent in (b"GET ?/a HTTP/1.0\r\n\r\nxx\r\n\r\n", LAST + ONE, LAST + b"\x00" * 100, LAST + LAST):
        for _ in range(10):
            with connected(service) as connection:
                connection.sendall(sent)
                connection.recv(10)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert httpx.get(f"{service.url}/now").status_code == 200
    assert service.stop() == 0
    assert not any("connections failed" in line for line in service.lines)


def test_nothing_after_connection_close_is_answered_and_the_request_before_it_is(start):
    service = start(APP)
    for junk in (ONE, b"\x00\xff not http\r\n\r\n", b"x" * 200_000):
        answer = answer_to(service, LAST + junk)
        assert answer.startswith(b"HTTP/1.1 200"), junk[:20]
        assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("GET ?/a HTTP/1.1", 400, "begins with '/'"),
        ("GET /now#x HTTP/1.1", 400, "fragment"),
        ("GET http://[::1/ HTTP/1.1", 400, "valid host"),
        ("GET http://user:password@x/now HTTP/1.1", 400, "valid host"),
        ("CONNECT x:80 HTTP/1.1", 501, "CONNECT"),
        ("get /now HTTP/1.1", 501, "Send GET"),
        ("Delete /now HTTP/1.1", 501, "case-sensitive"),
        ("GET /now HTTP/2.0", 505, "HTTP/1.1"),
        ("POST /json HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked", 400, "cannot be combined"),
        ("POST /json HTTP/1.0\r\nTransfer-Encoding: chunked", 400, "cannot be combined"),
    ],
)
def test_what_cannot_be_served_is_a_problem_and_closes_the_connection(start, line, status, words):
    answer = answer_to(start(APP), f"{line}\r\nHost: x\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n{ONE.decode()}".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status}".encode())
    assert words in json.loads(body)["detail"]
    assert answer.count(b"HTTP/1.1 ") == 1


def test_an_answer_without_content_has_no_length_and_the_next_one_follows(start):
    nothing = ONE.replace(b"/now", b"/nothing")
    first, second = answer_to(start(APP), nothing + LAST).split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"204")
    # RFC 9110, section 8.6.
    assert b"content-length" not in first.lower()
    assert second.startswith(b"200")


def test_an_absolute_target_is_served_and_its_authority_replaces_the_host(start):
    program = (
        "from services.http.server import serving; from services.http.server.app import App; "
        "from services.http.request.request import current_request; from services.config.settings import Settings\n"
        "app = App('x', title='X', settings=Settings())\n"
        "@app.get('/host')\n"
        "async def host():\n"
        "    request = current_request()\n"
        "    return {'host': request.headers.getlist('Host'), 'query': request.query_string.decode()}\n"
        "serving.serve(app)"
    )
    # The host check of the app is another test's: an address is always allowed.
    sent = b"GET http://127.0.0.9:81/host?a=b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    answer = answer_to(start("-c", _logged(program)), sent)
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"host": ["127.0.0.9:81"], "query": "a=b"}


def _logged(program: str) -> str:
    return (
        "from services.http.observability.logs import set_up_logging\n"
        "set_up_logging(level='info', format='json', service='x')\n" + program
    )


def test_a_head_that_dribbles_in_is_given_up(start):
    program = "import services.http.server.http1 as http1; http1.HEAD_SECONDS = 0.3\nimport runpy\n"
    service = start("-c", program + f"runpy.run_path({APP!r}, run_name='__main__')")
    with connected(service) as connection:
        connection.sendall(b"GET /now HTTP/1.1\r\n")
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not arrive" in answer


def test_tiny_chunks_are_refused_before_they_cost_much(start):
    service = start(APP)
    before = cpu_seconds(service)
    with connected(service) as connection:
        connection.sendall(b"POST /json HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(100):
                connection.sendall(b"1\r\n \r\n" * 10_000)
        except OSError:
            pass
        try:
            answer = read_all(connection)
        except OSError:
            answer = b""
    assert answer == b"" or (answer.startswith(b"HTTP/1.1 400") and b"Send larger chunks" in answer)
    # A million such chunks took half a minute of CPU.
    assert cpu_seconds(service) - before < 8


def test_health_answers_however_many_idle_connections_there_are_under_few_descriptors(start):
    limited = "import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); "
    service = start("-c", limited + f"runpy.run_path({APP!r}, run_name='__main__')")
    idle = [connected(service) for _ in range(100)]
    for connection in idle[::2]:
        connection.sendall(b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n1234567")
    try:
        for _ in range(5):
            assert httpx.get(f"{service.url}/health/live", trust_env=False).status_code == 200
        # What has only just begun to stall does not give way yet.
        wait_until(lambda: answer_to(service, LAST).startswith(b"HTTP/1.1 200"))
    finally:
        for connection in idle:
            connection.close()
    assert service.stop() == 0


def test_beyond_the_bound_of_connections_at_work_health_is_still_answered(start):
    limited = "import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); "
    service = start("-c", limited + f"runpy.run_path({APP!r}, run_name='__main__')")
    with ExitStack() as stack:
        # All arrive before one is read, as where the service has much to do; none gives way to the next.
        assert service.url
        service.send_signal(signal.SIGSTOP)
        for _ in range(16):
            connection = stack.enter_context(connected(service))
            connection.sendall(b"GET /slow/300.0 HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(8):
            probe = stack.enter_context(connected(service))
            probe.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        service.send_signal(signal.SIGCONT)
        wait_until(lambda: in_flight(service) >= 16)
        refused = answer_to(service, ONE)
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"are in use" in refused
        assert httpx.get(f"{service.url}/health/live", trust_env=False).status_code == 200


def test_an_answer_that_http_does_not_allow_is_a_500_and_the_server_goes_on(start):
    program = (
        "from services.http.server import serving; from services.http.server.app import App; "
        "from quart_trio.wrappers import TrioResponse; from services.config.settings import Settings\n"
        "app = App('x', title='X', settings=Settings())\n"
        "@app.get('/bad')\n"
        "async def bad():\n"
        "    return TrioResponse(b'abc', 200, {'Bad Name': '2'})\n"
        "serving.serve(app)"
    )
    service = start("-c", _logged(program))
    for _ in range(3):
        answer = answer_to(service, b"GET /bad HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 500")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 500
    assert httpx.get(f"{service.url}/nothing").status_code == 404
    assert service.stop() == 0
