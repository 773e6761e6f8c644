"""Answers of servers that are slow, redirect, or are wrong as HTTP; over real sockets."""

import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError

import pytest

from cqox.sources import http_answers
from cqox.sources.http_answers import answer_of
from tests.servers.certificates import authority_in
from tests.servers.raw_http import raw_http

HEAD = b"HTTP/1.1 200 OK\r\n"
CONTENT = HEAD + b"Content-Length: 4\r\n\r\ny\n1\n"


def content_at(address: str, *, silence_seconds: float = 20.0) -> bytes:
    with answer_of(address, silence_seconds=silence_seconds) as answer:
        return answer.read()


def redirecting(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def dripping(first: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    def respond(client: socket.socket) -> None:
        client.sendall(first)
        while True:
            client.sendall(drop)
            time.sleep(0.05)

    return respond


@pytest.mark.parametrize(
    ("first", "drop"),
    [(b"", b"X"), (HEAD + b"X-A: ", b"x"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["status", "header", "continue"],
)
def test_headers_that_drip_end_at_a_deadline(first: bytes, drop: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_answers, "_HEADER_SECONDS", 0.5)
    with raw_http(dripping(first, drop)) as server:
        with pytest.raises(TimeoutError, match=r"headers of the server's answer had not arrived after 0\.5 s"):
            content_at(server.address)
        assert server.left.wait(30)


def test_redirections_share_the_deadline_of_the_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_answers, "_HEADER_SECONDS", 0.5)

    def respond(client: socket.socket) -> None:
        time.sleep(0.2)
        client.sendall(redirecting(f"/{len(server.heads)}"))

    with raw_http(respond) as server:
        with pytest.raises(TimeoutError, match="headers of the server"):
            content_at(server.address)
        assert len(server.heads) < 5


@pytest.mark.parametrize(
    ("head", "drop"),
    [(b"Content-Length: 1000000", b"y"), (b"", b"y"), (b"Transfer-Encoding: chunked\r\n\r\n1;", b"x")],
    ids=["length", "no length", "chunk extension"],
)
def test_a_content_that_drips_ends_as_too_slow(head: bytes, drop: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_answers, "_SLOW_SECONDS", 0.5)
    with raw_http(dripping(HEAD + head + b"\r\n\r\n", drop)) as server:
        with pytest.raises(TimeoutError, match=r"fewer than 65,536 bytes arrived within 0\.5 s"):
            content_at(server.address)
        assert server.left.wait(30)


def test_a_content_that_goes_on_is_read_for_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_answers, "_HEADER_SECONDS", 0.4)
    monkeypatch.setattr(http_answers, "_SLOW_SECONDS", 0.4)
    monkeypatch.setattr(http_answers, "_SLOW_BYTES", 100)

    def respond(client: socket.socket) -> None:
        client.sendall(HEAD + b"Content-Length: 2000\r\n\r\n")
        for _ in range(20):
            time.sleep(0.05)
            client.sendall(b"y" * 100)

    with raw_http(respond) as server:
        assert len(content_at(server.address)) == 2000


def test_a_reader_that_rests_is_no_slow_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_answers, "_HEADER_SECONDS", 0.4)
    monkeypatch.setattr(http_answers, "_SLOW_SECONDS", 0.4)
    body = b"y" * 60_000
    head = HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode()
    with raw_http(head + body) as server, answer_of(server.address, silence_seconds=5) as answer:
        count = 0
        while block := answer.read1(20_000):
            count += len(block)
            time.sleep(0.25)
        assert count == len(body)


def test_a_server_that_says_nothing_is_left() -> None:
    def respond(client: socket.socket) -> None:
        # Until the client leaves.
        client.recv(1)

    with raw_http(respond) as server:
        with pytest.raises(TimeoutError, match=r"nothing arrived for 0\.2 s"):
            content_at(server.address, silence_seconds=0.2)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("ftp://127.0.0.1:1/t.csv", "redirects to ftp://; only http"),
        ("file:///etc/passwd", "redirects to file://"),
        ("data:text/csv,y", "redirects to data:"),
        ("http://169.254.169.254/latest/t.csv", "redirects to 169.254.169.254, which is further inside"),
        ("http://[fe80::1]/t.csv", "redirects to fe80::1, which is further inside"),
        ("http://[::ffff:169.254.169.254]/t.csv", "further inside"),
        ("http://[fd00:ec2::254]/t.csv", "further inside"),
        ("http://0.0.0.0/t.csv", "further inside"),
        ("//2852039166/t.csv", "further inside"),
        ("http://me:xyzzy@127.0.0.1/t.csv", "user and password"),
        ("http://[::1/t.csv", "Invalid IPv6|no host"),
    ],
)
def test_redirections_elsewhere_are_refused(location: str, reason: str) -> None:
    with raw_http(redirecting(location)) as server:
        with pytest.raises((ConnectionError, ValueError), match=reason) as caught:
            content_at(server.address)
        assert "xyzzy" not in str(caught.value)
        assert len(server.heads) == 1


def test_no_ftp_server_is_asked() -> None:
    with raw_http(b"220\r\n") as ftp, raw_http(redirecting(ftp.address.replace("http", "ftp"))) as server:
        with pytest.raises(ConnectionError, match="ftp"):
            content_at(server.address)
        assert ftp.heads == []


def test_a_name_that_has_another_address_at_the_connection_is_refused() -> None:
    with raw_http(CONTENT) as inner:
        pace = http_answers._Pace(5)
        pace.reach, pace.is_redirected = 1, True
        connection = http_answers._Connection(inner.address.removeprefix("http://"), pace=pace, is_proxied=False)
        with pytest.raises(ConnectionError, match="further inside"):
            connection.connect()
        connection.close()
        assert inner.heads in ([], [b""])


def test_a_proxy_on_this_machine_may_be_asked_for_what_is_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [redirecting("http://203.0.113.7/b.csv"), redirecting("http://8.8.8.8/c.csv"), CONTENT]

    def respond(client: socket.socket) -> None:
        client.sendall(answers[len(proxy.heads) - 1])

    with raw_http(respond) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(ConnectionError, match=r"203\.0\.113\.7, which is further inside"):
            content_at("http://8.8.4.4/a.csv")
        assert content_at("http://8.8.4.4/a.csv") == b"y\n1\n"
        assert proxy.heads[-1].startswith(b"GET http://8.8.8.8/c.csv ")
        answers[1:] = [redirecting("http://127.0.0.1:1/t.csv")] * 9
        with pytest.raises(ConnectionError, match=r"127\.0\.0\.1, which is further inside"):
            content_at("http://8.8.4.4/a.csv")


def test_redirections_that_have_no_end_are_left() -> None:
    with raw_http(redirecting("/t.csv")) as server:
        with pytest.raises(ConnectionError, match="redirects more than 10 times"):
            content_at(server.address)
        assert len(server.heads) == 11


def test_the_content_of_a_redirection_is_not_read() -> None:
    def respond(client: socket.socket) -> None:
        if len(server.heads) > 1:
            client.sendall(CONTENT)
            return
        client.sendall(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n")
        while True:
            client.sendall(b"x" * 65536)

    with raw_http(respond) as server:
        assert content_at(server.address) == b"y\n1\n"
        assert server.left.wait(30)


def test_redirections_keep_to_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = authority_in(tmp_path, "engine")
    folder = authority.folder / "engine" / "current"
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with raw_http(CONTENT) as plain, raw_http(CONTENT, tls=tls) as safe:
        assert content_at(safe.address) == b"y\n1\n"
        with raw_http(redirecting(safe.address)) as up:
            assert content_at(up.address) == b"y\n1\n"
        with raw_http(redirecting(plain.address), tls=tls) as down:
            with pytest.raises(ConnectionError, match="from https:// to http://"):
                content_at(down.address)
        assert plain.heads == []


def test_an_error_has_the_headers_of_the_server() -> None:
    with raw_http(b"HTTP/1.1 429 Slowly\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n") as server:
        with pytest.raises(HTTPError) as caught:
            content_at(server.address)
        assert caught.value.headers["Retry-After"] == "7"
        caught.value.close()


@pytest.mark.parametrize("address", ["http:///t.csv", "http://h:xyzzy/t.csv", "http://h:0/", "http://me:xyzzy@h/t.csv"])
def test_malformed_addresses_are_refused_without_what_they_contain(address: str) -> None:
    with pytest.raises(ValueError, match=r"no host|user and password") as caught:
        content_at(address)
    assert "xyzzy" not in str(caught.value)
