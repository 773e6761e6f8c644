"""An in-memory TCP network for Trio programs, with seeded faults.

Programs use Trio as ever: `trio.open_tcp_stream`, `trio.SocketStream` and `trio.SocketListener` get their sockets from
`trio.socket.set_custom_socket_factory`, and their addresses from `trio.socket.set_custom_hostname_resolver`. The host
of a socket is the process of the task that makes it.

Modelled are latency, loss with retransmission, receive windows, half-closed, reset and half-open connections, accept
queues, refused and lost connection attempts, and partitions of either direction. Not modelled are bandwidth, UDP, and
bytes that change on their way.
"""

import errno
import itertools
import socket as stdlib
from collections.abc import Collection, Iterator, Sequence
from random import Random
from typing import Any

import trio

from cqox.chaos.simulation.events import EventLog
from cqox.chaos.simulation.links import Link, Links
from cqox.chaos.simulation.process import current_process
from cqox.chaos.simulation.sockets import SimulatedSocket
from cqox.chaos.simulation.timeline import Timeline

__all__ = ["WORLD", "SimulatedNetwork"]

WORLD = "world"
"""Host of the tasks that belong to no process."""

_SYN_SECONDS = (0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0)


class SimulatedNetwork(trio.abc.SocketFactory, trio.abc.HostnameResolver):
    """The network of one run.

    Args:
        timeline: delivers packets.
        draw: decides by chance.
        log: learns of connections.

    Attributes:
        draw: decides by chance.
        timeline: delivers packets.
    """

    def __init__(self, timeline: Timeline, draw: Random, log: EventLog) -> None:
        self.timeline = timeline
        self.draw = draw
        self._log = log
        self._links = Links()
        self._addresses: dict[str, str] = {}
        self._hosts: dict[str, str] = {}
        self._names: dict[str, Sequence[str]] = {}
        self._off: set[str] = set()
        self._ports: dict[tuple[str, int], SimulatedSocket] = {}
        self._next_port = itertools.count(40_000)
        self._sockets: dict[int, SimulatedSocket] = {}
        self._numbers = itertools.count(10**6)

    def install(self) -> None:
        """Make Trio use this network in the current run."""
        trio.socket.set_custom_socket_factory(self)
        trio.socket.set_custom_hostname_resolver(self)

    def address_of(self, host: str) -> str:
        """Return the address of a host, made when it is first named."""
        if host not in self._addresses:
            self._addresses[host] = address = f"10.0.{len(self._addresses) // 200}.{len(self._addresses) % 200 + 1}"
            self._hosts[address] = host
        return self._addresses[host]

    def name(self, name: str, hosts: Sequence[str]) -> None:
        """Let a name stand for these hosts; for none, it cannot be resolved."""
        self._names[name] = tuple(hosts)

    def link(self, source: str, target: str) -> Link:
        """Return the link from one host to another, to change it."""
        return self._links.of(source, target)

    def between(self, one: str, other: str) -> tuple[Link, Link]:
        """Return both links between two hosts."""
        return self._links.of(one, other), self._links.of(other, one)

    def host_here(self) -> str:
        """Return the host of the running task."""
        process = current_process.get()
        return WORLD if process is None else process.name

    def power_off(self, host: str) -> None:
        """Take a host away without a word: its connections stay open at their other ends, and nothing answers."""
        self._off.add(host)
        for one in list(self._of(host)):
            one.vanish()

    def power_on(self, host: str) -> None:
        """Let a host answer again; it knows none of its connections any more."""
        self._off.discard(host)

    def close_all(self, host: str) -> None:
        """Close every socket of a host, as a kernel does for a process that ends."""
        for one in list(self._of(host)):
            one.close()

    def reset(self, one: str, other: str) -> int:
        """Reset every connection between two hosts, as a device between them may; return their number."""
        found = [each for each in self._of(one) if each.peer_host == other]
        for each in found:
            each.reset_by_network()
        return len(found)

    def open_sockets(self, host: str) -> Collection[SimulatedSocket]:
        """Return the connected sockets of a host."""
        return [one for one in self._of(host) if one.is_connected]

    def is_off(self, host: str) -> bool:
        """Return whether a host is switched off."""
        return host in self._off

    # What Trio calls.

    def socket(self, family: int = stdlib.AF_INET, type: int = stdlib.SOCK_STREAM, proto: int = 0) -> SimulatedSocket:
        """Return a socket of the host of the running task.

        Raises:
            OSError: it is no TCP socket.
        """
        if type != stdlib.SOCK_STREAM:
            raise OSError(errno.ESOCKTNOSUPPORT, "the simulated network has TCP alone")
        return self.make_socket(self.host_here())

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """Resolve a name to the addresses of its hosts, in an order that the seed decides.

        Raises:
            socket.gaierror: the name stands for nothing.
        """
        await trio.sleep(self.draw.expovariate(1 / 0.0005))
        name = (host or b"").decode("ascii")
        hosts = list(self._names.get(name, [name] if name in self._addresses else []))
        if not hosts:
            raise stdlib.gaierror(stdlib.EAI_NONAME, f"nothing is named {name}")
        self.draw.shuffle(hosts)
        return [
            (stdlib.AF_INET, stdlib.SOCK_STREAM, stdlib.IPPROTO_TCP, "", (self.address_of(each), int(port or 0)))
            for each in hosts
        ]

    async def getnameinfo(self, sockaddr: tuple[str, int] | tuple[str, int, int, int], flags: int) -> tuple[str, str]:
        """Return the host of an address, and the port."""
        await trio.lowlevel.checkpoint()
        return self._hosts.get(sockaddr[0], sockaddr[0]), str(sockaddr[1])

    # What its sockets call.

    def make_socket(self, host: str) -> SimulatedSocket:
        """Return a new socket of this host."""
        number = next(self._numbers)
        made = SimulatedSocket(self, host, number)
        self._sockets[number] = made
        return made

    def forget(self, one: SimulatedSocket) -> None:
        """Drop a socket that is closed."""
        self._sockets.pop(one.number, None)
        if one.port and self._ports.get((one.host, one.port)) is one:
            del self._ports[one.host, one.port]

    def bind(self, one: SimulatedSocket, port: int) -> int:
        """Give a socket a port of its host, the next free one for 0; return it.

        Raises:
            OSError: another socket listens on it.
        """
        port = port or next(self._next_port)
        if (one.host, port) in self._ports:
            raise OSError(errno.EADDRINUSE, "the port is in use")
        self._ports[one.host, port] = one
        return port

    async def connect(self, one: SimulatedSocket, address: str, port: int) -> SimulatedSocket:
        """Open a connection; return the socket at its other end.

        Raises:
            OSError: it is refused, or nothing answers for two minutes.
        """
        host = self._hosts.get(address, "")
        out, back = self._links.of(one.host, host), self._links.of(host, one.host)
        began = trio.current_time()
        for seconds in _SYN_SECONDS:
            await trio.sleep_until(began + seconds)
            await trio.sleep(out.delay(self.draw))
            if out.blocked or self.is_off(host) or not host or (out.loss and self.draw.random() < out.loss):
                continue
            listener = self._ports.get((host, port))
            if listener is None or not listener.is_listening:
                await trio.sleep(back.delay(self.draw))
                if not back.blocked:
                    self._log.add("refused", one.host, host)
                    raise OSError(errno.ECONNREFUSED, "connection refused")
                continue
            if listener.is_full:
                continue
            accepted = self.make_socket(host)
            accepted.port, one.port = port, next(self._next_port)
            accepted.join(one)
            listener.offer(accepted)
            if out.duplication and self.draw.random() < out.duplication:
                # The first attempt was only late: the second one is a connection that nobody has.
                self._offer_ghost(listener, one)
            await trio.sleep(back.delay(self.draw))
            self._log.add("connected", one.host, host)
            return accepted
        raise OSError(errno.ETIMEDOUT, "connection timed out")

    def _offer_ghost(self, listener: SimulatedSocket, one: SimulatedSocket) -> None:
        ghost, other = self.make_socket(listener.host), self.make_socket(one.host)
        ghost.port, other.port = listener.port, next(self._next_port)
        ghost.join(other)
        other.vanish()
        listener.offer(ghost)
        self._log.add("duplicated", one.host, listener.host)

    def _of(self, host: str) -> Iterator[SimulatedSocket]:
        return (one for one in self._sockets.values() if one.host == host)
