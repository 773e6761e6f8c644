"""Listening sockets. They are opened before anything heavy is imported, so that a client that comes early waits in the
kernel's queue and is not refused."""

import errno
import os
import select
import socket
from collections.abc import Collection
from contextlib import suppress

from cqox.errors import CqoxError

__all__ = ["AddressUnusable", "has_unread", "listen", "sever", "url_of"]

_BACKLOG = 1024
_STALLED_PEER_MILLISECONDS = 60_000
# Only Linux says so of a peer that will send no more.
_PEER_HAS_ENDED = getattr(select, "POLLRDHUP", 0)


class AddressUnusable(CqoxError):
    """Nothing can listen there.

    Attributes:
        host: the host that was asked for.
        port: the port that was asked for.
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
    """Sockets that listen on every address of a host, all on one port.

    Args:
        host: a name or an address.
        port: 0 takes a free one.

    Raises:
        AddressUnusable: the port is taken, or the host is no address of this machine.
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


def url_of(listening: socket.socket) -> str:
    """The address of a listening socket as a URL that a client on this machine can use."""
    host, port = listening.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def has_unread(descriptor: int) -> bool:
    """Return whether bytes have arrived at a socket, and its peer may send more; False where it is closed."""
    if descriptor < 0:
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | _PEER_HAS_ENDED)
    return [event for _, event in poll.poll(0)] == [select.POLLIN]


def sever(ports: Collection[int]) -> None:
    """Cut every connection of this process that came in on one of these ports, whoever holds it.

    What waits for such a connection in this process fails at once, even inside a shielded scope. Does nothing where the
    system has no /dev/fd.
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
            # Inherited by connections: a peer that takes nothing for so long is cut by the kernel, since Hypercorn
            # waits for it without a bound.
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
