"""Reading of metrics from a real HTTP server, and each way in which that fails."""

import socket
from threading import Thread

import pytest

from cqox.resilience.top import scrape
from cqox.resilience.top.scrape import Unreachable, fetch, metrics_url
from tests.resilience.top.server import MetricsServer
from tests.servers.ports import free_port


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("localhost:9464", "http://localhost:9464/metrics"),
        ("http://app", "http://app/metrics"),
        ("https://app:8443/", "https://app:8443/metrics"),
        ("http://app/own/path?x=1#here", "http://app/own/path?x=1"),
        ("[::1]:80", "http://[::1]:80/metrics"),
    ],
)
def test_an_address_is_completed(given: str, url: str) -> None:
    assert metrics_url(given) == url


@pytest.mark.parametrize(
    "given",
    [
        "",
        "http://",
        "file:///etc/passwd",
        "ftp://app/",
        "app:port",
        "app:99999",
        "a b",
        "[::1",
        "http://app/é",
        "http://\N{SNOWMAN}.example",
        "http://.example",
        f"http://{64 * 'a'}.example",
    ],
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"address|IPv6"):
        metrics_url(given)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="--token-file") as refused:
        metrics_url("http://user:hunter2@app/")
    assert "hunter2" not in str(refused.value)


def test_the_text_comes_back_and_the_token_is_sent(server: MetricsServer) -> None:
    server.body = "cqox_x 1\nä 2".encode()
    assert fetch(server.url, timeout=5.0, token="secret") == "cqox_x 1\nä 2"
    ((path, headers),) = server.asked
    assert path == "/metrics"
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Accept"].startswith("text/plain")


def test_a_redirect_is_followed_without_the_token(server: MetricsServer) -> None:
    other = MetricsServer()
    try:
        server.status, server.headers, other.body = 302, {"Location": other.url}, b"x 1"
        assert fetch(server.url, timeout=5.0, token="secret") == "x 1"
        ((_, headers),) = other.asked
        assert "Authorization" not in headers
    finally:
        other.stop()


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [(404, "text/plain", "answers 404 Not Found"), (401, "text/plain", "answers 401"), (200, "text/html", "a page")],
)
def test_an_answer_that_is_none_says_what_it_is(server: MetricsServer, status: int, kind: str, message: str) -> None:
    server.status, server.kind = status, kind
    with pytest.raises(Unreachable, match=message):
        fetch(server.url, timeout=5.0)


def test_nobody_at_the_port_is_said() -> None:
    with pytest.raises(Unreachable, match="cannot be reached: Connection refused"):
        fetch(f"http://127.0.0.1:{free_port()}/metrics", timeout=5.0)


def test_more_than_a_text_of_metrics_is_refused(server: MetricsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "_MOST_BYTES", 100)
    server.body, server.headers = b"x" * 101, {"Content-Length": "101"}
    with pytest.raises(Unreachable, match="more than"):
        fetch(server.url, timeout=5.0)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "does not answer within 0.2 s"),
        (b"not http\r\n\r\n", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx 1", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_a_server_that_breaks_off_is_said(answer: bytes | None, message: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def serve() -> None:
            connection, _ = listener.accept()
            connection.recv(4096)
            if answer is None:
                held.append(connection)
            else:
                connection.sendall(answer)
                connection.close()

        Thread(target=serve, daemon=True).start()
        with pytest.raises(Unreachable, match=message):
            fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/metrics", timeout=0.2 if answer is None else 5.0)
        for connection in held:
            connection.close()
