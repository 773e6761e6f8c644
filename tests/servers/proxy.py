"""A TCP proxy on loopback that can lose an answer, or be late with all of them."""

import socket
import threading
import time
from contextlib import suppress

__all__ = ["Proxy"]


class Proxy:
    """Passes everything on, but loses the answer to a message with a marker once that is requested."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._marker: bytes | None = None
        self.lost = 0
        self.late_seconds = 0.0
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_answer_to(self, marker: bytes) -> None:
        """Deliver the next request that holds the marker, take the answer, and hang up."""
        self._marker = marker

    def close(self) -> None:
        _shut(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                # Nobody is there now; somebody may be for the next one.
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        hung_up = threading.Event()
        with client, server:
            back = threading.Thread(target=self._back, args=(client, server, hung_up), daemon=True)
            back.start()
            self._forward(client, server, hung_up)
            back.join()

    def _forward(self, client: socket.socket, server: socket.socket, hung_up: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self._marker is not None and self._marker in data:
                    self._marker = None
                    hung_up.set()
                server.sendall(data)
        _shut(server)

    def _back(self, client: socket.socket, server: socket.socket, hung_up: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if hung_up.is_set():
                    self.lost += 1
                    break
                if self.late_seconds:
                    time.sleep(self.late_seconds)
                client.sendall(data)
        _shut(server)
        _shut(client)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
