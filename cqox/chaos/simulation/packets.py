"""Packets of one direction of a simulated connection: in order, lost and sent again, until the sender gives up."""

import errno
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from cqox.chaos.simulation.network import SimulatedNetwork
    from cqox.chaos.simulation.sockets import SimulatedSocket

__all__ = ["WINDOW_BYTES", "Direction"]

WINDOW_BYTES = 2**16
"""Most bytes on their way to a receiver, or received and not read."""

_SEGMENT_BYTES = 2**16
_FIRST_RETRY_SECONDS = 0.2
_LAST_RETRY_SECONDS = 30.0
_GIVE_UP_SECONDS = 60.0
_MOMENT_SECONDS = 1e-6


class _Kind(Enum):
    DATA = auto()
    END = auto()
    RESET = auto()


@dataclass(slots=True, kw_only=True)
class _Packet:
    kind: _Kind
    data: bytes
    due: float
    first_sent: float
    pause: float = _FIRST_RETRY_SECONDS


class Direction:
    """Packets that one socket has sent and the other has not received yet.

    Args:
        network: the network.
        source: the socket that sends.
    """

    def __init__(self, network: "SimulatedNetwork", source: "SimulatedSocket") -> None:
        self._network = network
        self._source = source
        self._queue: deque[_Packet] = deque()
        self._bytes = 0
        self._dropped = False

    def room(self) -> int:
        """Return how many bytes can be sent now."""
        peer = self._source.peer
        if peer is None:
            return 0
        return min(_SEGMENT_BYTES, WINDOW_BYTES - self._bytes - peer.unread_bytes)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self._bytes += len(data)
        self._put(_Kind.DATA, data)

    def end(self) -> None:
        """Send the end of this side."""
        self._put(_Kind.END, b"")

    def reset(self) -> None:
        """Reset the connection: nothing that was sent before arrives any more."""
        self.drop()
        target = self._source.peer
        if target is None:
            return
        link = self._network.link(self._source.host, target.host)
        # Sent once, and answered by nobody.
        lost = link.blocked or (link.loss and self._network.draw.random() < link.loss)
        if not lost:
            keep = self._network.draw.random() < 0.5
            self._network.timeline.at(
                trio.current_time() + link.delay(self._network.draw),
                lambda: target.fail(errno.ECONNRESET, keep_unread=keep),
            )

    def drop(self) -> None:
        """Deliver nothing of what is on its way."""
        self._dropped = True
        self._queue.clear()
        self._bytes = 0

    def _put(self, kind: _Kind, data: bytes) -> None:
        target = self._source.peer
        if target is None or self._dropped:
            return
        now = trio.current_time()
        delay = self._network.link(self._source.host, target.host).delay(self._network.draw)
        self._queue.append(_Packet(kind=kind, data=data, due=now + delay, first_sent=now))
        if len(self._queue) == 1:
            self._schedule(self._queue[0])

    def _schedule(self, packet: _Packet) -> None:
        self._network.timeline.at(packet.due, lambda: self._arrive(packet))

    def _arrive(self, packet: _Packet) -> None:
        target = self._source.peer
        if target is None or self._dropped or not self._queue or self._queue[0] is not packet:
            return
        link, now = self._network.link(self._source.host, target.host), trio.current_time()
        if link.blocked or self._network.is_off(target.host) or (link.loss and self._network.draw.random() < link.loss):
            if now - packet.first_sent > _GIVE_UP_SECONDS:
                self.drop()
                self._source.fail(errno.ETIMEDOUT)
                return
            packet.due = now + packet.pause
            packet.pause = min(2 * packet.pause, _LAST_RETRY_SECONDS)
            self._schedule(packet)
            return
        self._queue.popleft()
        self._bytes -= len(packet.data)
        if target.is_closed:
            # The kernel of the receiver answers what arrives at no socket, even the end of a connection that it lost.
            if packet.kind is _Kind.DATA or target.gone:
                self.drop()
                self._source.fail(errno.ECONNRESET)
                return
        elif packet.kind is _Kind.DATA:
            target.receive(packet.data)
        else:
            target.receive_end()
        if self._queue:
            self._queue[0].due = max(self._queue[0].due, now + _MOMENT_SECONDS)
            self._schedule(self._queue[0])
