"""Bad company for a gateway: peers on loopback that refuse, hang, cut their answers, fail, or are slow."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.services.gateway.exchanges import answer_to

type Behaviour = Callable[[socket.socket], None]


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            break
        data += more
    return data


def never_answers(connection: socket.socket) -> None:
    """Reads and says nothing, to probes neither."""
    while connection.recv(65536):
        pass


def answers(status: int) -> Behaviour:
    """Answers every request with the status, but for probes, which it answers 200."""

    def serve(connection: socket.socket) -> None:
        request = _read_request(connection)
        code = 200 if b" /health/live" in request else status
        connection.sendall(
            answer_to(request, b"HTTP/1.1 %d No\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}" % code)
        )

    return serve


def answers_half(connection: socket.socket) -> None:
    """Promises more than it sends, but for probes."""
    request = _read_request(connection)
    if b" /health/live" in request:
        answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    else:
        answer = b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"estimates": ['
    connection.sendall(answer_to(request, answer))


def slow_way_to(port: int, seconds: float) -> Behaviour:
    """Hands every packet on to that port, each so much later."""

    def serve(connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port)) as behind:
            back = threading.Thread(target=_pump, args=(behind, connection, seconds), daemon=True)
            back.start()
            _pump(connection, behind, seconds)
            back.join()

    return serve


def _pump(source: socket.socket, target: socket.socket, seconds: float) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            time.sleep(seconds)
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def peer(behaviour: Behaviour | None) -> Iterator[str]:
    """The address of a server that behaves like that; None refuses connections."""
    server = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{server.getsockname()[1]}"
    if behaviour is None:
        server.close()
        yield url
        return
    opened: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            behaviour(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                opened.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield url
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        for connection in opened:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
