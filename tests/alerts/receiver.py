"""A receiver of notifications: one address for each receiver of Alertmanager's configuration."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

__all__ = ["Notification", "Receiver"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One alert of one message.

    Attributes:
        receiver: the last part of the address that it came to: `page`, `ticket` or `watchdog`.
        status: `firing` or `resolved`.
        labels: labels of the alert.
        annotations: annotations of the alert.
        at: seconds of the monotonic clock when it came.
    """

    receiver: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    at: float

    @property
    def alert(self) -> str:
        return self.labels["alertname"]


@dataclass
class Receiver:
    """A server that keeps what it gets, as long as it is entered.

    Attributes:
        notifications: all that came, in their order.
        messages: the bodies that came, each with its receiver.
    """

    notifications: list[Notification] = field(default_factory=list)
    messages: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.take(self.path.strip("/"), body)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Keep the output of tests clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, receiver: str, body: dict[str, object]) -> None:
        """Keep a message of Alertmanager."""
        now = time.monotonic()
        self.messages.append((receiver, body))
        for each in body["alerts"]:  # type: ignore[attr-defined]
            self.notifications.append(
                Notification(
                    receiver=receiver,
                    status=each["status"],
                    labels=each["labels"],
                    annotations=each["annotations"],
                    at=now,
                )
            )
