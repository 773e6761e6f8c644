"""A TCP proxy on loopback that spoils what it hands on: twice, late, cut, swapped, changed, or before it was asked."""

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

__all__ = ["FAULTS", "Liar"]

FAULTS = (
    "answer twice",
    "answer again later",
    "answer of another connection",
    "answer cut",
    "bit of the answer",
    "request twice",
    "bit of the request",
    "answer before the request",
    "answer before anything",
)

_OF_ANSWERS = FAULTS[:5]
_INJECTED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 23\r\n"
    b'content-digest: sha-256=:F+VgQkqQxnkLCTVTUDJSjBPuxoi/JZc39tjiiy10mAc=:\r\n\r\n{"analysis_id": "liar"}'
)


type _HandOn = Callable[[bytes, socket.socket, socket.socket], None]


class Liar:
    """Hands on between clients and a port of this machine, and spoils a share of the pieces.

    Args:
        target: the port.
        share: of the pieces that are spoiled.
        seed: of the choice.
        faults: what is done to them.
    """

    def __init__(self, target: int, *, share: float, seed: int, faults: Sequence[str] = FAULTS) -> None:
        self.done = Counter[str]()
        self.share = share
        self._target = target
        self._faults = faults
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._other = b""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        _shut(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            back = threading.Thread(target=self._pump, args=(server, client, client, self._answer), daemon=True)
            if self._fault("answer before anything"):
                with suppress(OSError):
                    client.sendall(_INJECTED)
            back.start()
            self._pump(client, server, client, self._request)
            back.join()

    def _pump(self, source: socket.socket, target: socket.socket, client: socket.socket, hand_on: _HandOn) -> None:
        with suppress(OSError):
            while data := source.recv(2**20):
                hand_on(data, target, client)
        _shut(target)

    def _fault(self, *possible: str) -> str:
        with self._lock:
            known = [one for one in possible if one in self._faults]
            if not known or self._random.random() >= self.share:
                return ""
            fault = self._random.choice(known)
            self.done[fault] += 1
            return fault

    def _request(self, data: bytes, server: socket.socket, client: socket.socket) -> None:
        match self._fault("request twice", "bit of the request", "answer before the request"):
            case "request twice":
                server.sendall(data + data)
            case "bit of the request":
                server.sendall(self._flipped(data))
            case "answer before the request":
                client.sendall(_INJECTED)
                server.sendall(data)
            case _:
                server.sendall(data)

    def _answer(self, data: bytes, client: socket.socket, _: socket.socket) -> None:
        match self._fault(*_OF_ANSWERS):
            case "answer twice":
                client.sendall(data + data)
            case "answer again later":
                client.sendall(data)
                time.sleep(0.005)
                client.sendall(data)
            case "answer of another connection":
                with self._lock:
                    data, self._other = self._other or data, data
                client.sendall(data)
            case "answer cut":
                client.sendall(data[: len(data) // 2])
                raise OSError
            case "bit of the answer":
                client.sendall(self._flipped(data))
            case _:
                client.sendall(data)

    def _flipped(self, data: bytes) -> bytes:
        # In the body: a head has no digest, and the wire below has its own.
        begin = data.find(b"\r\n\r\n") + 4
        if begin >= len(data):
            return data
        with self._lock:
            at = self._random.randrange(begin, len(data))
            bit = 1 << self._random.randrange(8)
        return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
