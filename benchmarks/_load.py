"""A load generator on loopback with threads and plain sockets, cheap enough not to distort the measurement."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Connection", "Load", "closed_loop", "closed_loop_on", "open_loop", "percentile"]

_END_OF_HEAD = b"\r\n\r\n"


class Connection:
    """A keep-alive connection to a service on this machine."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._port = port
        self._tls = tls
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket, server_hostname="localhost")
        self._buffer = bytearray(2**18)

    def send(self, path: str, body: bytes = b"", **headers: str) -> None:
        """Send a request: POST with a body, JSON by default, or GET without one."""
        headers = ({"Content_Type": "application/json"} if body else {}) | headers
        fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}"
        self._socket.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def receive(self) -> tuple[int, bytes]:
        """Receive status and body of the response; reconnect where the service closes the connection."""
        have = self._more(0)
        while (found := self._buffer.find(_END_OF_HEAD, 0, have)) < 0:
            have = self._more(have)
        end = found + len(_END_OF_HEAD)
        head = bytes(self._buffer[:end]).lower()
        total = end + int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        while have < total:
            have = self._more(have)
        body = bytes(memoryview(self._buffer)[end:total])
        if b"connection: close" in head:
            self.__init__(self._port, self._tls)  # type: ignore[misc]
        return int(head[9:12]), body

    def ask(self, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Send a request and wait for its response."""
        self.send(path, body, **headers)
        return self.receive()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _more(self, have: int) -> int:
        """Receive further bytes behind those that are there; return how many there are."""
        # Into one buffer: a read of TLS returns a record of 16 KiB at most, and would allocate all that it may return.
        if have == len(self._buffer):
            self._buffer += bytes(have)
        with memoryview(self._buffer)[have:] as free:
            count = self._socket.recv_into(free)
        if not count:
            raise ConnectionError("the service closed the connection")
        return have + count


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Results of a load run: latencies by status, and the total time, in seconds."""

    answers: Sequence[tuple[int, float]]
    seconds: float

    def of(self, status: int) -> list[float]:
        """Return the sorted latencies of responses with that status, in seconds."""
        return sorted(seconds for code, seconds in self.answers if code == status)

    @property
    def per_second(self) -> float:
        """Throughput: responses of status 200 per second."""
        return len(self.of(200)) / self.seconds


def closed_loop(port: int, path: str, body: Callable[[], bytes], *, connections: int, seconds: float) -> Load:
    """Run a closed loop: each client sends its next request as soon as it has the response."""
    opened = [Connection(port) for _ in range(connections)]
    try:
        return closed_loop_on(opened, path, body, seconds=seconds)
    finally:
        for connection in opened:
            connection.close()


def closed_loop_on(
    connections: Sequence[Connection], path: str, body: Callable[[], bytes], *, seconds: float, **headers: str
) -> Load:
    """Run a closed loop on open connections, which stay open."""
    answers: list[tuple[int, float]] = []
    end = time.perf_counter() + seconds

    def run(connection: Connection) -> None:
        while (began := time.perf_counter()) < end:
            status, _ = connection.ask(path, body(), **headers)
            answers.append((status, time.perf_counter() - began))

    return _timed([threading.Thread(target=run, args=(each,)) for each in connections], answers)


def open_loop(
    port: int, path: str, body: Callable[[], bytes], *, per_second: float, seconds: float, **headers: str
) -> Load:
    """Run an open loop: requests are sent at a constant rate, independent of the latency."""
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
    """Return a quantile of sorted values."""
    return values[min(len(values) - 1, int(len(values) * share))]


def _timed(threads: Sequence[threading.Thread], answers: list[tuple[int, float]]) -> Load:
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(answers=answers, seconds=time.perf_counter() - began)
