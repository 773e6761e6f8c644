"""A network namespace whose packets pass a router of this process, which can lose, delay, repeat and corrupt them.

Two TUN devices, one on each side, and a task that carries packets between them: it needs no module of the kernel but
`tun`. Addresses are from the block for benchmarks (RFC 2544), which no network uses.
"""

import fcntl
import os
import random
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import trio

from cqox.chaos.experiments.system import SystemUnusable
from tests.servers.namespaces import NetworkNamespace

__all__ = ["PacketLink", "open_packet_link"]

_TUNSETIFF = 0x400454CA
_TUN_WITHOUT_INFO = 0x1001
_MOST_BYTES = 65536


@dataclass(eq=False)
class PacketLink:
    """The link between this machine and the namespace.

    Attributes:
        outer: the address of this machine on the link.
        inner: the address in the namespace.
        around: a command before which this goes runs in the namespace.
        carried: number of packets that were delivered.
        lost: number of packets that were not.
    """

    outer: str
    inner: str
    around: Sequence[str]
    generator: random.Random
    carried: int = 0
    lost: int = 0
    _kind: str = ""
    _given: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def under(self, kind: str, parameters: Mapping[str, Any]) -> Iterator[None]:
        """Have a fault of the network meanwhile."""
        self._kind, self._given = kind, parameters
        try:
            yield
        finally:
            self._kind, self._given = "", {}

    def fate(self, packet: bytes, *, inward: bool) -> list[tuple[float, bytes]]:
        """Return what becomes of a packet: what is delivered, and how many seconds later."""
        given = self._given
        met = self.generator.random() < float(given.get("percent", 0.0)) / 100
        match self._kind:
            case "network-loss" if met:
                return []
            case "network-duplicate" if met:
                return [(0.0, packet), (0.0, packet)]
            case "network-corrupt" if met:
                place = self.generator.randrange(20, len(packet))
                return [(0.0, packet[:place] + bytes([packet[place] ^ 1]) + packet[place + 1 :])]
            case "network-partition" if given["direction"] in ("both", "to" if inward else "from"):
                return []
            case "network-delay":
                late = given["latency"] + given["jitter"] * self.generator.uniform(-1, 1)
                return [(max(0.0, late), packet)]
        return [(0.0, packet)]


@asynccontextmanager
async def open_packet_link(*, seed: int = 0) -> AsyncIterator[PacketLink]:
    """Open a namespace and the link to it; both end on leaving, or with this process."""
    namespace, devices = None, []
    number = os.getpid() % 250 + 2
    outer, inner = f"198.18.{number}.1", f"198.18.{number}.2"
    try:
        try:
            namespace = NetworkNamespace()
            devices.append(_device(f"cqox{number}o"))
            _addressed([], f"cqox{number}o", outer, inner)
            with namespace.inside():
                devices.append(_device(f"cqox{number}i"))
            _addressed(namespace.around, f"cqox{number}i", inner, outer)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemUnusable(f"network namespaces with TUN devices cannot be had here: {error}") from error
        link = PacketLink(outer, inner, namespace.around, random.Random(seed))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_carry, link, devices[0], devices[1], True)
            nursery.start_soon(_carry, link, devices[1], devices[0], False)
            try:
                yield link
            finally:
                nursery.cancel_scope.cancel()
    finally:
        for device in devices:
            os.close(device)
        if namespace is not None:
            namespace.close()


def _device(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TUN_WITHOUT_INFO))
    return descriptor


def _addressed(around: Sequence[str], name: str, own: str, other: str) -> None:
    for command in (["addr", "add", own, "peer", other, "dev", name], ["link", "set", name, "up"]):
        subprocess.run([*around, "ip", *command], check=True, capture_output=True)


async def _carry(link: PacketLink, source: int, sink: int, inward: bool) -> None:
    async with trio.open_nursery() as nursery:
        while True:
            await trio.lowlevel.wait_readable(source)
            with suppress(BlockingIOError):
                packet = os.read(source, _MOST_BYTES)
                found = link.fate(packet, inward=inward)
                link.carried += bool(found)
                link.lost += not found
                for late, each in found:
                    if late:
                        nursery.start_soon(_later, sink, late, each)
                    else:
                        _write(sink, each)


async def _later(sink: int, seconds: float, packet: bytes) -> None:
    await trio.sleep(seconds)
    _write(sink, packet)


def _write(sink: int, packet: bytes) -> None:
    # A full queue loses a packet, as a router does.
    with suppress(OSError):
        os.write(sink, packet)
