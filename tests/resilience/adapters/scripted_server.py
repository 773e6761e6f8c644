"""An HTTP/1.1 server on loopback that follows a script, in threads of its own."""

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """One response; `chunked` sends the body without a length."""

    status: int = 200
    body: bytes = b"fine"
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False


DROP = object()
"""Closes the connection instead of an answer."""
HANG = object()
"""Never answers."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived, and when on the monotonic clock; names of its fields in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *steps: object) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.steps = deque(steps)
        self.requests: list[Seen] = []
        self.connections = 0
        self.arrived = threading.Event()
        self.ended = threading.Event()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that leave."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rfile.read(int(headers.get("content-length", "0")))
        server = self.server
        server.requests.append(Seen(self.command, self.path, headers, body, time.monotonic()))
        step = server.steps.popleft() if server.steps else Answer()
        server.arrived.set()
        if step is DROP:
            self.close_connection = True
            return
        if step is HANG:
            server.ended.wait()
            self.close_connection = True
            return
        assert isinstance(step, Answer)
        self.send_response(step.status)
        for name, value in step.headers.items():
            self.send_header(name, value)
        if step.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(step.body), step.body))
            self.wfile.flush()
            server.ended.wait()  # the end of the body never comes
            self.close_connection = True
            return
        self.send_header("Content-Length", str(len(step.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(step.body)

    def _chunk(self) -> bytes:
        data = self.rfile.read(int(self.rfile.readline(), 16))
        self.rfile.readline()
        return data

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer


@contextmanager
def serving(*steps: object) -> Iterator[Server]:
    """Run a server that answers its first requests by `steps`, and all others with 200."""
    server = Server(*steps)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def refusing() -> Iterator[str]:
    """Yield the URL of a port that refuses connections."""
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
