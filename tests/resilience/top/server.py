"""A real HTTP server whose answer a test chooses, and which can go away and come back on its port."""

from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

TEXT = "text/plain; version=0.0.4; charset=utf-8"


class MetricsServer:
    """Answers every GET with `body`.

    Attributes:
        asked: paths and headers of the requests.
    """

    def __init__(self) -> None:
        self.body: bytes = b""
        self.status = 200
        self.kind = TEXT
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/metrics"

    def start(self) -> None:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked.append((self.path, dict(self.headers)))
                with suppress(ConnectionError):
                    self.send_response(owner.status)
                    for name, value in {"Content-Type": owner.kind, **owner.headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(owner.body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
