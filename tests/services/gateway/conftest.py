"""Fixtures of peers that listen on an engine's port."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.services.gateway.exchanges import answer_to


class Raw:
    """A peer that answers each connection with the same bytes and closes it; with None it never answers."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            if self._answer is None:
                self._connections.append(connection)
                continue
            with connection:
                connection.sendall(answer_to(connection.recv(65536), self._answer))

    def close(self) -> None:
        """Stop listening, which ends the thread, and close the connections."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._connections:
            connection.close()


@pytest.fixture
def raw() -> Iterator[Callable[[bytes | None], Raw]]:
    """Open peers that are closed at the end of the test."""
    opened: list[Raw] = []

    def make(answer: bytes | None) -> Raw:
        opened.append(Raw(answer))
        return opened[-1]

    yield make
    for each in opened:
        each.close()
