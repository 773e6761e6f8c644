"""Rejections of malformed requests carry the exchange id of the gateway."""

import socket
import time
from pathlib import Path

import pytest

APP = str(Path(__file__).parent / "served_app.py")
EXCHANGE = b"0123456789abcdef" * 2


def answer_to(port: int, *pieces: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.1)
        answer = b""
        while b"\r\n\r\n" not in answer and (more := connection.recv(65536)):
            answer += more
    return answer.lower()


@pytest.mark.parametrize(
    ("status", "pieces"),
    [
        (b"431", [b"GET / HTTP/1.1\r\nHost: x\r\nX-Cqox-Exchange: %s\r\nX: " % EXCHANGE + b"x" * 17_000]),
        (b"400", [b"GET / HTTP/1.1\r\nX-Cqox-Exchange: %s\r\nBad header\r\n\r\n" % EXCHANGE]),
        (
            b"400",
            [
                b"POST /json HTTP/1.1\r\nHost: x\r\nx-cqox-exchange: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
                % EXCHANGE,
                b"ZZ\r\n",
            ],
        ),
    ],
)
def test_a_refusal_repeats_the_exchange(start, status, pieces):
    port = int(start(APP).url.rpartition(":")[2])
    got = answer_to(port, *pieces)
    assert got.startswith(b"http/1.1 " + status)
    assert got.count(b"x-cqox-exchange: " + EXCHANGE) == 1
    # As docs/telemetry.md says: what never was a request has no trace, and is found by its request id.
    assert b"\r\nx-request-id: " in got
    is_request = pieces[0].endswith(b"chunked\r\n\r\n")
    assert (b"\r\nx-trace-id: " in got) is is_request
    assert (b'"trace_id"' in got) is is_request


def test_a_rejection_of_a_request_without_an_exchange_id_has_none(start):
    port = int(start(APP).url.rpartition(":")[2])
    for named in (b"", b"X-Cqox-Exchange: <script>\r\n", b"X-Cqox-Exchange: " + b"0" * 33 + b"\r\n"):
        for path in (b"/now", b"/now\r\nBad header"):
            got = answer_to(port, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + named + b"\r\n")
            assert got.startswith(b"http/1.1 ")
            assert b"cqox" not in got
            assert b"content-digest" not in got


def test_an_answer_to_an_exchange_has_the_digest_of_its_body(start):
    port = int(start(APP).url.rpartition(":")[2])
    for path, digested in ((b"/now", True), (b"/nowhere", True), (b"/huge", False)):
        got = answer_to(port, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nX-Cqox-Exchange: " + EXCHANGE + b"\r\n\r\n")
        assert b"x-cqox-exchange: " + EXCHANGE in got
        assert (b"content-digest: sha-256=:" in got) is digested
