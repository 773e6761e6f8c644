"""Sockets of the simulated network, for `trio.SocketStream` and `trio.SocketListener`."""

import errno
import select
import socket as stdlib
from collections import deque
from collections.abc import Buffer
from typing import TYPE_CHECKING, Any, Self

import trio

from cqox.chaos.simulation.packets import WINDOW_BYTES, Direction

if TYPE_CHECKING:
    from cqox.chaos.simulation.network import SimulatedNetwork

__all__ = ["SimulatedSocket"]

_BACKLOG = 1024
_HUNG_UP = getattr(select, "POLLRDHUP", 0)
_ALWAYS = select.POLLERR | select.POLLHUP


class SimulatedSocket(trio.socket.SocketType):
    """One end of a connection, or a listening socket.

    Args:
        network: the network.
        host: the host that has the socket.
        number: its descriptor.

    Attributes:
        host: the host that has the socket.
        port: its port; 0 without one.
        number: its descriptor, also once it is closed.
        peer: the socket at the other end; None without a connection.
        gone: whether its host has lost it without a word.
    """

    def __init__(self, network: "SimulatedNetwork", host: str, number: int) -> None:
        super().__init__()
        self.host = host
        self.port = 0
        self.number = number
        self.peer: SimulatedSocket | None = None
        self.gone = False
        self._network = network
        self._closed = False
        self._error = 0
        self._sending = Direction(network, self)
        self._listening = False
        self._backlog = _BACKLOG
        self._accepted: deque[SimulatedSocket] = deque()
        self._inbox = bytearray()
        self._ended = False
        self._ended_own = False
        # What was sent since something was received: an answer, which may be repeated.
        self._answer = bytearray()
        self._readable = trio.lowlevel.ParkingLot()
        self._writable = trio.lowlevel.ParkingLot()

    # State, for the network.

    @property
    def is_listening(self) -> bool:
        """True while connections are accepted."""
        return self._listening and not self._closed

    @property
    def is_full(self) -> bool:
        """True while no further connection fits into the accept queue."""
        return len(self._accepted) >= self._backlog

    @property
    def is_connected(self) -> bool:
        """True while the socket is open and has a peer."""
        return self.peer is not None and not self._closed

    @property
    def is_closed(self) -> bool:
        """True once the socket is closed here."""
        return self._closed

    @property
    def peer_host(self) -> str:
        """The host at the other end; empty without a connection."""
        return "" if self.peer is None else self.peer.host

    @property
    def unread_bytes(self) -> int:
        """Number of bytes received and not read."""
        return len(self._inbox)

    def join(self, peer: "SimulatedSocket") -> None:
        """Make a connection of both sockets."""
        self.peer, peer.peer = peer, self

    def offer(self, accepted: "SimulatedSocket") -> None:
        """Put a connection into the accept queue."""
        self._accepted.append(accepted)
        self._readable.unpark_all()

    def receive(self, data: bytes) -> None:
        """Take bytes that have arrived."""
        self._inbox += data
        self._readable.unpark_all()

    def receive_end(self) -> None:
        """Take the end of the other side."""
        self._ended = True
        self._readable.unpark_all()

    def fail(self, error: int, *, keep_unread: bool = True) -> None:
        """Break the connection here with this error number."""
        if self._closed:
            return
        self._error = self._error or error
        self._ended = True
        if not keep_unread:
            self._inbox.clear()
        self._sending.drop()
        self._wake()

    def reset_by_network(self) -> None:
        """Break the connection at both ends."""
        for one in (self, self.peer):
            if one is not None:
                one.fail(errno.ECONNRESET, keep_unread=self._network.draw.random() < 0.5)

    def vanish(self) -> None:
        """Be forgotten by the own host: what arrives later is answered with a reset."""
        self.gone = True
        self._sending.drop()
        self._shut()

    def room(self) -> None:
        """Wake who waits until more can be sent."""
        self._writable.unpark_all()

    # The interface of Trio's sockets.

    @property
    def family(self) -> stdlib.AddressFamily:
        """IPv4."""
        return stdlib.AF_INET

    @property
    def type(self) -> stdlib.SocketKind:
        """A stream."""
        return stdlib.SOCK_STREAM

    @property
    def proto(self) -> int:
        """TCP."""
        return stdlib.IPPROTO_TCP

    @property
    def did_shutdown_SHUT_WR(self) -> bool:
        """True once this side has ended."""
        return self._ended_own

    def __enter__(self) -> Self:
        """Return the socket."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self.close()

    def fileno(self) -> int:
        """Return the descriptor, or -1 once it is closed."""
        return -1 if self._closed else self.number

    def getsockname(self) -> tuple[str, int]:
        """Return the own address and port."""
        self._check_open()
        return self._network.address_of(self.host), self.port

    def getpeername(self) -> tuple[str, int]:
        """Return the address and port at the other end."""
        self._check_open()
        if self.peer is None or self._error:
            raise OSError(errno.ENOTCONN, "not connected")
        return self._network.address_of(self.peer.host), self.peer.port

    def getsockopt(self, level: int, optname: int, buflen: int | None = None) -> Any:  # noqa: ANN401 - Trio's overloads
        """Return an option: the pending error, and whether it listens; 0 for all others."""
        self._check_open()
        if (level, optname) == (stdlib.SOL_SOCKET, stdlib.SO_ERROR):
            return self._error
        return int(self._listening and (level, optname) == (stdlib.SOL_SOCKET, stdlib.SO_ACCEPTCONN))

    def setsockopt(self, level: int, optname: int, value: int | Buffer | None, optlen: int | None = None) -> None:
        """Do nothing: no option changes this network."""
        self._check_open()

    async def bind(self, address: Any) -> None:  # noqa: ANN401 - Trio's type
        """Take a port of the own host."""
        await trio.lowlevel.checkpoint()
        self.take_port(int(address[1]))

    def take_port(self, port: int) -> None:
        """Take a port of the own host, the next free one for 0."""
        self._check_open()
        self.port = self._network.bind(self, port)

    def listen(self, backlog: int = _BACKLOG) -> None:
        """Accept connections from now on."""
        self._check_open()
        self._listening, self._backlog = True, backlog

    async def accept(self) -> "tuple[SimulatedSocket, tuple[str, int]]":
        """Return the next connection, and the address at its other end."""
        await trio.lowlevel.checkpoint()
        while not self._accepted:
            self._check_open()
            await self._readable.park()
            self._check_usable()
        found = self._accepted.popleft()
        return found, ("" if found.peer is None else self._network.address_of(found.peer.host), found.port)

    async def connect(self, address: Any) -> None:  # noqa: ANN401 - Trio's type
        """Open a connection; a cancellation closes the socket."""
        self._check_open()
        try:
            await self._network.connect(self, str(address[0]), int(address[1]))
        except BaseException:
            self.close()
            raise
        if self._error:
            raise OSError(self._error, "the connection was lost while it was opened")

    async def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Return bytes that have arrived; none at the end of the other side."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        while not (self._inbox or self._ended):
            await self._readable.park()
            self._check_usable()
        if not self._inbox and self._error:
            raise OSError(self._error, "the connection is broken")
        data = bytes(self._inbox[:bufsize])
        del self._inbox[:bufsize]
        if data and self.peer is not None:
            self.peer.room()
            self._repeat()
        return data

    async def send(self, data: Buffer, flags: int = 0) -> int:
        """Send as many bytes as the window of the receiver has room for, at least one; return their number."""
        await trio.lowlevel.checkpoint()
        while True:
            self._check_open()
            if self._error:
                raise OSError(self._error, "the connection is broken")
            if self._ended_own or self.peer is None:
                raise OSError(errno.EPIPE, "this side has ended")
            room = self._sending.room()
            if room > 0:
                taken = bytes(memoryview(data)[:room])
                self._sending.send(taken)
                if self._network.link(self.host, self.peer_host).repetition:
                    self._answer += taken
                return len(taken)
            await self._writable.park()
            self._check_usable()

    def shutdown(self, flag: int) -> None:
        """End this side, after all that was sent."""
        self._check_open()
        if self.peer is None or self._error:
            raise OSError(errno.ENOTCONN, "not connected")
        if flag in (stdlib.SHUT_WR, stdlib.SHUT_RDWR) and not self._ended_own:
            self._ended_own = True
            self._sending.end()
        if flag in (stdlib.SHUT_RD, stdlib.SHUT_RDWR):
            self.receive_end()

    def is_readable(self) -> bool:
        """Return whether a read would not wait."""
        return not self._closed and bool(self._inbox or self._ended or self._accepted)

    async def wait_readable(self) -> None:
        """Wait until a read would not wait."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        while not self.is_readable():
            await self._readable.park()
            self._check_usable()

    async def wait_writable(self) -> None:
        """Wait until bytes can be sent."""
        await trio.lowlevel.checkpoint()
        while not self._error and self._sending.room() <= 0:
            self._check_open()
            await self._writable.park()
            self._check_usable()

    def poll_events(self, mask: int) -> int:
        """Return the events of poll(2) that hold now."""
        if self._closed:
            return 0
        found = select.POLLIN if self.is_readable() else 0
        if self._error:
            found |= select.POLLERR | select.POLLHUP
        if self._ended:
            found |= _HUNG_UP | (select.POLLHUP if self._ended_own else 0)
        if not self._error and self._sending.room() > 0:
            found |= select.POLLOUT
        return found & (mask | _ALWAYS)

    def close(self) -> None:
        """Close the socket: with unread bytes the connection is reset, otherwise it ends after what was sent."""
        if self._closed:
            return
        for waiting in self._accepted:
            waiting.close()
        if self.peer is not None and not self._error:
            if self._inbox:
                self._sending.reset()
            elif not self._ended_own:
                self._sending.end()
        self._shut()

    def _repeat(self) -> None:
        """Send the last answer again, now that the next request has come, where the link does so."""
        answer, self._answer = self._answer, bytearray()
        share = self._network.link(self.host, self.peer_host).repetition
        if answer and not self._error and len(answer) <= WINDOW_BYTES and self._network.draw.random() < share:
            self._sending.send(bytes(answer))

    def _shut(self) -> None:
        self._closed = True
        self._network.forget(self)
        self._wake()

    def _wake(self) -> None:
        self._readable.unpark_all()
        self._writable.unpark_all()

    def _check_open(self) -> None:
        if self._closed:
            raise OSError(errno.EBADF, "the socket is closed")

    def _check_usable(self) -> None:
        # As Trio's own sockets: a task that waits learns that another one has closed the socket.
        if self._closed:
            raise trio.ClosedResourceError("another task has closed the socket")
