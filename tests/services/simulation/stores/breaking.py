"""The faults of the servers of stores that last for a time: their kinds, and what each does."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import trio

from services.simulation.stores.server import CallFault, Conditions, SimulatedServer

__all__ = ["SERVER_FAULTS", "break_server"]

SERVER_FAULTS: Mapping[str, tuple[float, float]] = {
    "server killed": (1.0, 8.0),
    "server frozen": (1.0, 10.0),
    "server unreachable": (1.0, 12.0),
    "server slow": (1.0, 15.0),
    "server loses calls": (2.0, 15.0),
    "server full": (0.5, 12.0),
    "connections end": (0.7, 0.0),
}
"""Kinds of faults: how often, and for how many seconds in the mean; 0 for what happens once."""

_LOST = (CallFault.DIES_BEFORE, CallFault.DIES_MIDWAY, CallFault.DIES_AFTER, CallFault.UNDONE, CallFault.DISK)


async def break_server(
    server: SimulatedServer, kind: str, *, seconds: float, severity: float, clients: Sequence[str]
) -> None:
    """Let a server have a fault, until it is over.

    Args:
        server: the server.
        kind: one of `SERVER_FAULTS`.
        seconds: for how long.
        severity: from 0 to 1: how slow it is, what share of calls is lost, and which client cannot reach it.
        clients: names of its clients.

    Raises:
        KeyError: the kind is unknown.
    """
    if kind == "connections end":
        server.drop_connections()
        return
    client = clients[min(int(severity * len(clients)), len(clients) - 1)]
    spans: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
        "server killed": server.outage,
        "server frozen": server.suspension,
        "server unreachable": lambda: server.partition(client),
        "server slow": lambda: server.changed(lambda usual: _slow(usual, severity)),
        "server loses calls": lambda: server.changed(lambda usual: _losing(usual, severity)),
        "server full": lambda: server.changed(lambda usual: replace(usual, disk_full=True)),
    }
    with spans[kind]():
        await trio.sleep(seconds)


def _slow(usual: Conditions, severity: float) -> Conditions:
    return replace(usual, most_seconds=usual.most_seconds + 0.02 * 200**severity)


def _losing(usual: Conditions, severity: float) -> Conditions:
    share = (0.05 + 0.45 * severity) / len(_LOST)
    return replace(usual, rates=(*usual.rates, *((fault, share) for fault in _LOST)))
