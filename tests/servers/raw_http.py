"""A server on loopback that answers each request with bytes of a test, however wrong they are as HTTP."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["RawHttp", "raw_http"]

type Respond = Callable[[socket.socket], None]


class RawHttp:
    """The server.

    Attributes:
        address: `http://127.0.0.1:port`, or `https://…`.
        heads: of the requests.
        left: set once a client has closed a connection while an answer was written.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.heads: list[bytes] = []
        self.left = threading.Event()


@contextmanager
def raw_http(respond: Respond | bytes, *, tls: ssl.SSLContext | None = None) -> Iterator[RawHttp]:
    """Serve while the block runs.

    Args:
        respond: called with each connection once its request is there, or what is sent.
        tls: of a server that speaks it.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawHttp(f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}")

    def serve(client: socket.socket) -> None:
        try:
            with client if tls is None else tls.wrap_socket(client, server_side=True) as wire:
                server.heads.append(wire.recv(65536))
                if isinstance(respond, bytes):
                    wire.sendall(respond)
                else:
                    respond(wire)
        except OSError:
            server.left.set()

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
