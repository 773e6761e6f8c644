"""Files at a URL, of a real server."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cqox.errors import LimitExceeded, SourceUnavailable
from cqox.sources.urls import blocks_of_url, download_url, file_at

CONTENT = b"y,w\n1,0\n" * 1000


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/a.csv?part=1":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONTENT)
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/a.csv?part=1")
            self.end_headers()
        elif self.path == "/local":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif self.path == "/cut.csv":
            self.send_response(200)
            self.send_header("Content-Length", str(2 * len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)
        elif self.path == "/cut-chunk.csv":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ny,w\n1,0\n\r\n")
        elif self.path == "/part.csv":
            self.send_response(206)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)
        elif self.path == "/terminal.csv":
            self.wfile.write(b"HTTP/1.1 500 \x1b[2J\x07gone\r\n\r\n")
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_file_is_fetched_through_a_redirection(address: str, tmp_path: Path) -> None:
    for at, path in enumerate(("/a.csv?part=1", "/moved")):
        download_url(address + path, tmp_path / str(at), max_bytes=10_000)
        assert (tmp_path / str(at)).read_bytes() == CONTENT


def test_what_cannot_be_fetched_says_why(address: str, tmp_path: Path) -> None:
    for number, (path, reason) in enumerate({"/absent": "404", "/local": "redirects to file:"}.items()):
        with pytest.raises(SourceUnavailable, match=reason):
            download_url(address + path, tmp_path / str(number), max_bytes=10_000)
    with pytest.raises(SourceUnavailable, match=r"HTTP Error 500: \\x1b\[2J\\x07gone$"):
        download_url(address + "/terminal.csv", tmp_path / "terminal", max_bytes=10_000)
    with pytest.raises(SourceUnavailable, match=r"refused|reset"):
        download_url("http://127.0.0.1:1/a.csv", tmp_path / "none", max_bytes=10)
    with pytest.raises(LimitExceeded):
        download_url(address + "/a.csv?part=1", tmp_path / "large", max_bytes=100)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/cut.csv", "the connection ended early$"),
        ("/cut-chunk.csv", "the connection ended early$"),
        ("/part.csv", "HTTP 206 Partial Content, without the whole file$"),
    ],
)
def test_a_part_of_a_file_is_not_taken_for_the_file(address: str, tmp_path: Path, path: str, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=reason):
        download_url(address + path, tmp_path / "file", max_bytes=100_000)
    with pytest.raises(SourceUnavailable, match=reason):
        list(blocks_of_url(address + path, file_at(address + path)))
