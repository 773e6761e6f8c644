"""Listening sockets, opened before slow imports, so that early clients wait in the accept queue and are not refused."""

import errno
import os
import socket
from collections.abc import Collection
from contextlib import suppress

from cqox.errors import CqoxError

__all__ = ["AddressUnusable", "listen", "reset_connections", "url_of"]

_BACKLOG = 1024
_STALLED_PEER_MILLISECONDS = 60_000


class AddressUnusable(CqoxError):
    """The service cannot listen on the address.

    Attributes:
        host: the requested host.
        port: the requested port.
        in_use: whether another process has the port.
    """

    def __init__(self, host: str, port: int, error: OSError) -> None:
        super().__init__(host, port, error)
        self.host = host
        self.port = port
        self.in_use = error.errno == errno.EADDRINUSE
        self._reason = error.strerror or str(error)

    def __str__(self) -> str:
        if self.in_use:
            return f"Port {self.port} of {self.host} is in use by another process."
        return f"Cannot listen on port {self.port} of {self.host}: {self._reason}."


def listen(host: str, port: int) -> tuple[socket.socket, ...]:
    """Open sockets that listen on every address of a host, all on one port.

    Args:
        host: a name or an address.
        port: 0 chooses a free one.

    Raises:
        AddressUnusable: the port is in use, or the host is no address of this machine.
    """
    opened: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            opened.append(_listen(family, (address[0], port or _port_of(opened), *address[2:])))
    except OSError as error:
        for one in opened:
            one.close()
        raise AddressUnusable(host, port, error) from error
    return tuple(opened)


def url_of(listening: socket.socket, *, scheme: str = "http") -> str:
    """Return the URL of a listening socket for clients on this machine."""
    host, port = listening.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{scheme}://[{reachable}]:{port}" if ":" in reachable else f"{scheme}://{reachable}:{port}"


def reset_connections(ports: Collection[int]) -> None:
    """Shut down every connection of this process that was accepted on one of these ports.

    Tasks that wait for such a connection fail at once, even inside a shielded scope. It does nothing on a system
    without /dev/fd.
    """
    try:
        descriptors = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        return
    for descriptor in descriptors:
        try:
            copy = os.dup(descriptor)
        except OSError:
            continue
        try:
            one = socket.socket(fileno=copy)
        except OSError:
            os.close(copy)
            continue
        with one, suppress(OSError):
            if one.family in (socket.AF_INET, socket.AF_INET6) and one.getsockname()[1] in ports:
                one.shutdown(socket.SHUT_RDWR)


def _listen(family: int, address: tuple[object, ...]) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Inherited by connections: the kernel closes the connection of a peer that acknowledges nothing for so
            # long, for which Hypercorn would wait without a timeout.
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALLED_PEER_MILLISECONDS)
        one.bind(address)
        one.listen(_BACKLOG)
        one.setblocking(False)
    except OSError:
        one.close()
        raise
    return one


def _port_of(opened: list[socket.socket]) -> int:
    return opened[0].getsockname()[1] if opened else 0
