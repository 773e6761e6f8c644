"""A real HTTP server of files that a test can change, slow down or break off, on loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

__all__ = ["HttpFiles", "http_files"]


class HttpFiles:
    """The files of the server, and how it answers.

    Attributes:
        files: content by path.
        e_tags: entity tags by path; a file without one has none.
        most_bytes: of an answer, after which its connection ends; None for all.
        gate: an answer waits for it after its first bytes.
        asked: the paths of the requests.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.files: dict[str, bytes] = {}
        self.e_tags: dict[str, str] = {}
        self.most_bytes: int | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[str] = []


@contextmanager
def http_files() -> Iterator[HttpFiles]:
    """Serve files while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            path = urlsplit(self.path).path
            content = served.files.get(path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            if path in served.e_tags:
                self.send_header("ETag", served.e_tags[path])
            self.end_headers()
            first = len(content) // 2
            try:
                self.wfile.write(content[: min(first, first if served.most_bytes is None else served.most_bytes)])
                self.wfile.flush()
                served.gate.wait(60)
                if served.most_bytes is None:
                    self.wfile.write(content[first:])
            except OSError:
                # The client has left.
                return

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = HttpFiles(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield served
        finally:
            served.gate.set()
            server.shutdown()
