"""Files at a URL, of a real server."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp

import pytest

from cqox.contract.messages import Message
from cqox.errors import LimitExceeded, SourceUnavailable
from cqox.sources.urls import blocks_of_url, download_url, file_at
from tests.servers.raw_http import raw_http

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


def answer(*headers: str, content: bytes = CONTENT) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "\r\n"]).encode() + content


def fetched(response: bytes, tmp_path: Path, name: str = "a.csv") -> bytes:
    """Return the file in a response, as both ways of reading it give it."""
    with raw_http(response) as server:
        address = f"{server.address}/{name}"
        described = file_at(address)
        content = b"".join(blocks_of_url(address, described))
        assert described.size_bytes in (None, len(content))
        download_url(address, tmp_path / "file", max_bytes=1_000_000)
    assert (tmp_path / "file").read_bytes() == content
    return content


def refused(response: bytes, tmp_path: Path, reason: str, name: str = "a.csv") -> SourceUnavailable:
    with raw_http(response) as server:
        address = f"{server.address}/{name}"
        with pytest.raises(SourceUnavailable, match=reason):
            list(blocks_of_url(address, file_at(address)))
        with pytest.raises(SourceUnavailable, match=reason) as caught:
            download_url(address, tmp_path / "file", max_bytes=1_000_000)
    return caught.value


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: 16", f"Content-Length: {len(CONTENT)}"], [f"Content-Length: {len(CONTENT)}, 16"],
        ["Content-Length: -4"], ["Content-Length: 1e3"], ["Content-Length: "],
    ],
)  # fmt: skip
def test_lengths_that_differ_or_are_no_numbers_are_refused(headers: list[str], tmp_path: Path) -> None:
    refused(answer(*headers), tmp_path, "more than one length, or one that is no number")


def test_a_length_that_is_stated_twice_is_one(tmp_path: Path) -> None:
    length = f"Content-Length: {len(CONTENT)}"
    assert fetched(answer(length, length), tmp_path) == CONTENT
    assert fetched(answer(), Path(mkdtemp(dir=tmp_path))) == CONTENT


@pytest.mark.parametrize("encoding", ["gzip", "X-GZIP"])
def test_gzip_that_was_not_asked_for_is_decoded(encoding: str, tmp_path: Path) -> None:
    zipped = gzip.compress(CONTENT[:800]) + gzip.compress(CONTENT[800:]) + bytes(8)
    headers = [f"Content-Encoding: {encoding}", f"Content-Length: {len(zipped)}"]
    assert fetched(answer(*headers, content=zipped), tmp_path) == CONTENT


@pytest.mark.parametrize("headers", [[], ["Content-Encoding: gzip"]])
def test_a_file_that_is_gzip_stays_as_it_is(headers: list[str], tmp_path: Path) -> None:
    zipped = gzip.compress(CONTENT)
    assert fetched(answer(*headers, content=zipped), tmp_path, "a.csv.gz") == zipped


def test_what_cannot_be_decoded_says_so(tmp_path: Path) -> None:
    zipped = gzip.compress(bytes(range(256)) * 100)
    refused(answer("Content-Encoding: br"), tmp_path, r"compressed as br \(Content-Encoding\)")
    for number, (content, reason) in enumerate(((CONTENT, "is none$"), (zipped[:-9], "ended early$"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        refused(answer("Content-Encoding: gzip", content=content), folder, reason)


def test_little_gzip_of_much_is_limited(tmp_path: Path) -> None:
    content = gzip.compress(bytes(50_000_000))
    with raw_http(answer("Content-Encoding: gzip", content=content)) as server:
        address = f"{server.address}/a.csv"
        with pytest.raises(LimitExceeded):
            download_url(address, tmp_path / "file", max_bytes=2_000_000)
        assert max(map(len, blocks_of_url(address, file_at(address)))) <= 1 << 20
        assert (tmp_path / "file").stat().st_size <= 2_000_000


def test_reasons_are_in_both_languages(tmp_path: Path) -> None:
    detail = refused(answer("Content-Length: -4"), tmp_path, "length").detail
    assert isinstance(detail, Message)
    assert "サーバーが示す長さ" in detail.in_language("ja")


@pytest.mark.parametrize("password", ["p@ss", "p/ss", "ss", "p#ss", "p?ss"])
def test_no_part_of_a_password_is_in_an_error(password: str, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        download_url(f"http://user:{password}@localhost/a.csv", tmp_path / "file", max_bytes=10)
    plain = str(caught.value).replace("password", "").replace("address", "")
    assert "ss" not in plain.replace("//localhost", "")
    assert "user and" in str(caught.value) or "no host" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "wait", "seconds"),
    [("429 R", "7", 7.0), ("503 R", "7", 7.0), ("429 R", "99999", 3600.0), ("503 R", "soon", 0.0), ("404 R", "7", 0.0)],
)
def test_the_wait_that_a_server_asks_for_is_in_the_error(
    status: str, wait: str, seconds: float, tmp_path: Path
) -> None:
    response = f"HTTP/1.1 {status}\r\nRetry-After: {wait}\r\nContent-Length: 0\r\n\r\n".encode()
    error = refused(response, tmp_path, f"HTTP Error {status[:3]}: R")
    assert error.retry_after == seconds
    assert str(error).endswith(f"; the server asks to wait {seconds:g} s") == (seconds > 0)
