"""A server between a sidecar and its service, which counts what arrives and can answer instead of the service."""

import http.client
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from services.http.request.propagation import EXCHANGE
from tests.mesh.network import Pod

__all__ = ["Arrived", "Counting"]

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A request that reached the pod.

    Attributes:
        method: its method.
        path: its path.
        headers: its fields by their names in lower case.
    """

    method: str
    path: str
    headers: Mapping[str, str]


class Counting:
    """Counts requests, but for those of the health paths, and hands them on.

    Args:
        pod: where.
        port: that it listens on.
        service: port of the service.

    Attributes:
        arrived: what arrived.
        answer: status and fields that it answers with instead of the service; None to hand on.
        hangs: whether it never answers, also not a question for the liveness.
        delay: seconds before it answers.
    """

    def __init__(self, pod: Pod, port: int, service: int) -> None:
        self.arrived: list[Arrived] = []
        self.answer: tuple[int, Mapping[str, str]] | None = None
        self.hangs = False
        self.delay = 0.0
        self.released = threading.Event()
        self._pod, self._port, self._service = pod, port, service
        self.open()

    def open(self) -> None:
        """Take connections."""
        with self._pod.inside():
            self._server = _Server(("127.0.0.1", self._port), self)
        self._pod.thread(lambda: self._server.serve_forever(poll_interval=0.05))

    def shut(self) -> None:
        """Refuse connections from now on; requests that are here are answered, as by an engine that drains."""
        self._server.shutdown()
        self._server.server_close()

    def close(self) -> None:
        """End it."""
        self.released.set()
        self.shut()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        is_probe = handler.path.startswith("/health/")
        if not is_probe:
            fields = {name.lower(): value for name, value in handler.headers.items()}
            self.arrived.append(Arrived(method=handler.command, path=handler.path, headers=fields))
        if self.hangs:
            self.released.wait()
            return
        if not is_probe:
            self.released.wait(self.delay)
        if self.answer is not None and not is_probe:
            status, fields = self.answer
            _write(handler, status, {**fields, "content-type": "application/problem+json"}, b"{}")
            return
        self._pod.enter()
        service = http.client.HTTPConnection("127.0.0.1", self._service, timeout=120)
        try:
            sent = {name: value for name, value in handler.headers.items() if name.lower() not in _HOP_BY_HOP}
            service.request(handler.command, handler.path, body or None, sent)
            found = service.getresponse()
            fields = {name: value for name, value in found.getheaders() if name.lower() not in _HOP_BY_HOP}
            _write(handler, found.status, fields, found.read())
        finally:
            service.close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], counting: Counting) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                counting.serve(self)

            do_POST = do_DELETE = do_PUT = do_GET

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(address, Handler)

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        # A gateway that gives up closes its connection.
        pass


def _write(handler: BaseHTTPRequestHandler, status: int, fields: Mapping[str, str], body: bytes) -> None:
    handler.send_response_only(status)
    for name, value in fields.items():
        handler.send_header(name, value)
    if EXCHANGE.lower() not in {name.lower() for name in fields} and EXCHANGE in handler.headers:
        handler.send_header(EXCHANGE, handler.headers[EXCHANGE])
    handler.send_header("content-length", str(len(body)))
    # None is kept, so that a shut door is shut for everybody.
    handler.send_header("connection", "close")
    handler.end_headers()
    handler.wfile.write(body)
