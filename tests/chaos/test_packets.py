"""The fate of packets on a link, and a link between two namespaces that carries them."""

import random
import socket
import subprocess
import sys
from typing import Any

import pytest
import trio

from cqox.chaos.experiments.system import SystemUnusable
from tests.chaos.packets import PacketLink, open_packet_link

PACKET = bytes(range(100))


def link() -> PacketLink:
    return PacketLink("198.18.0.1", "198.18.0.2", [], random.Random(1))


@pytest.mark.parametrize(
    ("kind", "given", "inward", "delivered"),
    [
        ("network-loss", {"percent": 100.0}, True, 0),
        ("network-duplicate", {"percent": 100.0}, True, 2),
        ("network-partition", {"direction": "both"}, True, 0),
        ("network-partition", {"direction": "to"}, True, 0),
        ("network-partition", {"direction": "to"}, False, 1),
        ("network-partition", {"direction": "from"}, False, 0),
        ("network-delay", {"latency": 1.0, "jitter": 0.5}, True, 1),
        ("network-corrupt", {"percent": 100.0}, True, 1),
    ],
)
def test_a_fault_decides_what_is_delivered_and_is_over_at_its_end(
    kind: str, given: dict[str, Any], inward: bool, delivered: int
) -> None:
    made = link()
    with made.under(kind, given):
        found = made.fate(PACKET, inward=inward)
    assert len(found) == delivered
    assert all(late == 0 or 0.5 <= late <= 1.5 for late, _ in found)
    changed = [sum(a != b for a, b in zip(each, PACKET, strict=True)) for _, each in found]
    assert changed == [int(kind == "network-corrupt")] * delivered
    assert made.fate(PACKET, inward=inward) == [(0.0, PACKET)]


def test_a_share_of_the_packets_is_lost() -> None:
    made = link()
    with made.under("network-loss", {"percent": 20.0}):
        lost = sum(not made.fate(PACKET, inward=True) for _ in range(2000))
    assert 300 < lost < 500


SERVER = """
import socket, sys
with socket.create_server((sys.argv[1], 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(connection.recv(100).upper())
"""


@pytest.mark.trio
async def test_a_connection_into_the_namespace_passes_and_a_partition_holds_it() -> None:
    try:
        async with open_packet_link() as made:
            server = await trio.to_thread.run_sync(_started, [*made.around, sys.executable, "-c", SERVER, made.inner])
            try:
                assert server.stdout is not None
                port = int(await trio.to_thread.run_sync(server.stdout.readline))
                assert await _asked(made.inner, port) == b"HELLO"
                assert made.carried > 0
                with made.under("network-partition", {"direction": "both"}), trio.move_on_after(0.5) as scope:
                    await _asked(made.inner, port)
                assert scope.cancelled_caught
                assert made.lost > 0
                assert await _asked(made.inner, port) == b"HELLO"
            finally:
                server.kill()
                server.communicate()
    except* SystemUnusable as unusable:
        pytest.skip(f"NOT RUN: {unusable.exceptions[0]}")


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.PIPE)


async def _asked(host: str, port: int) -> bytes:
    async with await trio.open_tcp_stream(host, port) as stream:
        await stream.send_all(b"hello")
        return bytes(await stream.receive_some())


def test_addresses_are_of_the_block_for_benchmarks() -> None:
    assert socket.inet_aton(link().inner)[:2] == bytes([198, 18])
