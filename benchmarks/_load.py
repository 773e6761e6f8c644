"""Load on loopback from threads with plain sockets: cheap enough not to be what is measured."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Connection", "Load", "closed_loop", "open_loop", "percentile"]


class Connection:
    """One kept connection to a service on this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, path: str, body: bytes = b"", **headers: str) -> None:
        """Send a request: POST where there is a body, which is JSON unless said otherwise, else GET."""
        headers = ({"Content_Type": "application/json"} if body else {}) | headers
        fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}"
        self._socket.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def receive(self) -> tuple[int, bytes]:
        """Status and body of the answer; opens a new connection where the service closes this one."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        lowered = head.lower()
        length = int(lowered.partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._more()
        if b"connection: close" in lowered:
            self.__init__(self._port)  # type: ignore[misc]
        return int(head[9:12]), body

    def ask(self, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Send a request and wait for its answer."""
        self.send(path, body, **headers)
        return self.receive()

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def _more(self) -> bytes:
        data = self._socket.recv(262144)
        if not data:
            raise ConnectionError("the service closed the connection")
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came of it: seconds of each answer by status, and of the whole."""

    answers: Sequence[tuple[int, float]]
    seconds: float

    def of(self, status: int) -> list[float]:
        """How long the answers of that status took, in seconds, sorted."""
        return sorted(seconds for code, seconds in self.answers if code == status)

    @property
    def per_second(self) -> float:
        """Answers of status 200 per second."""
        return len(self.of(200)) / self.seconds


def closed_loop(port: int, path: str, body: Callable[[], bytes], *, connections: int, seconds: float) -> Load:
    """So many clients, each of which asks again as soon as it is answered."""
    answers: list[tuple[int, float]] = []
    end = time.perf_counter() + seconds

    def run() -> None:
        connection = Connection(port)
        while (began := time.perf_counter()) < end:
            status, _ = connection.ask(path, body())
            answers.append((status, time.perf_counter() - began))
        connection.close()

    return _timed([threading.Thread(target=run) for _ in range(connections)], answers)


def open_loop(
    port: int, path: str, body: Callable[[], bytes], *, per_second: float, seconds: float, **headers: str
) -> Load:
    """Requests that come at their rate, however long the answers take."""
    answers: list[tuple[int, float]] = []

    def run(delay: float) -> None:
        time.sleep(delay)
        connection = Connection(port)
        began = time.perf_counter()
        status, _ = connection.ask(path, body(), **headers)
        answers.append((status, time.perf_counter() - began))
        connection.close()

    count = round(per_second * seconds)
    return _timed([threading.Thread(target=run, args=(number / per_second,)) for number in range(count)], answers)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the sorted values lies."""
    return values[min(len(values) - 1, int(len(values) * share))]


def _timed(threads: Sequence[threading.Thread], answers: list[tuple[int, float]]) -> Load:
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(answers=answers, seconds=time.perf_counter() - began)
