"""A proxy in front of an object store, which lets it lack what others lack: conditions, space, or life."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

__all__ = ["ObjectProxy", "proxied"]

type Mode = Literal["whole", "unconditional", "full", "down"]


class ObjectProxy:
    """The proxy.

    Attributes:
        mode: `whole` passes all on, `unconditional` ignores `If-None-Match`, `full` refuses writes, `down` fails.
        endpoint: its address.
    """

    def __init__(self, endpoint: str) -> None:
        self.mode: Mode = "whole"
        self.endpoint = endpoint


@contextmanager
def proxied(port: int) -> Iterator[ObjectProxy]:
    """Run a proxy of the store at a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if proxy.mode == "down":
                self.say(503, b"<Error><Code>ServiceUnavailable</Code></Error>")
                return
            if proxy.mode == "full" and self.command == "PUT":
                self.say(507, b"<Error><Code>InsufficientStorage</Code></Error>")
                return
            headers = {
                name: value
                for name, value in self.headers.items()
                if proxy.mode != "unconditional" or name.lower() != "if-none-match"
            }
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            self.say(answer.status, answer.read(), dict(answer.getheaders()))
            connection.close()

        def say(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                if name.lower() not in ("content-length", "connection", "date", "server", "transfer-encoding"):
                    self.send_header(name, value)
            size = (headers or {}).get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", size)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        proxy = ObjectProxy(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield proxy
        server.shutdown()
