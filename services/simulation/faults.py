"""The faults of the site: which there are, how a seed draws them, and what each does."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from random import Random

import trio

from cqox.chaos.simulation.faults import Fault
from cqox.chaos.simulation.links import Link
from services.simulation.site import Site
from services.simulation.stores.server import CallFault, SimulatedServer

__all__ = ["CALM_SECONDS", "KINDS", "SPARSE_MINUTES", "apply", "draw_faults"]

CALM_SECONDS = 130.0
"""Time without faults at the end of each run: two recovery times of a circuit, and the last checks."""

_FIRST_SECONDS = 8.0
SPARSE_MINUTES = 60.0
"""From this duration on, requests and faults are sparse: what counts is the time between them."""

_MEAN_GAP_SECONDS = 9.0
_SPARSE_GAP_SECONDS = 400.0

type _Break = Callable[[Site, Fault], Awaitable[None]]


def draw_faults(draw: Random, minutes: float, *, engines: int, gateways: int, on_servers: bool) -> list[Fault]:
    """Return the faults of a run in order.

    Args:
        draw: decides by chance.
        minutes: how long the run lasts.
        engines: number of engines.
        gateways: number of gateways.
        on_servers: whether the stores are servers.
    """
    end, gap = 60 * minutes - CALM_SECONDS, _MEAN_GAP_SECONDS if minutes < SPARSE_MINUTES else _SPARSE_GAP_SECONDS
    at, found = draw.uniform(2, _FIRST_SECONDS), list[Fault]()
    engine_names, gateway_names = [f"engine-{n}" for n in range(engines)], [f"gateway-{n}" for n in range(gateways)]
    kinds = {
        kind: weight for kind, (weight, place, _) in KINDS.items() if place != ("file" if on_servers else "server")
    }
    while at < end:
        kind = draw.choices(list(kinds), weights=list(kinds.values()))[0]
        _, place, lasts = KINDS[kind]
        targets: dict[str, Sequence[str]] = {
            "": [""],
            "engine": engine_names,
            "gateway": gateway_names,
            "process": [*engine_names, *gateway_names],
            "link": [f"{one}|{other}" for one in gateway_names for other in [*engine_names, "clients"]],
            "file": [""],
            "server": ["database", "database", "cache"],
        }
        seconds = min(draw.expovariate(1 / lasts), 4 * lasts, end - at) if lasts else 0.0
        parameters: dict[str, float | str] = {"severity": draw.random()}
        if kind == "partition":
            parameters["direction"] = draw.choice(["both", "both", "out", "back"])
        targets["hop"] = [each for each in targets["link"] if not each.endswith("|clients")]
        target = draw.choice(targets[place])
        found.append(Fault(number=len(found), kind=kind, at=at, seconds=seconds, target=target, parameters=parameters))
        at += draw.expovariate(1 / gap)
    return found


async def apply(site: Site, faults: Sequence[Fault]) -> None:
    """Let the faults happen at their times, until all are over."""
    async with trio.open_nursery() as nursery:
        for fault in faults:
            nursery.start_soon(_happen, site, fault)


async def _happen(site: Site, fault: Fault) -> None:
    await trio.sleep(fault.at - site.world.now)
    site.world.log.add("fault", fault)
    with site.breaking(fault.kind), site.trouble() if _is_seen_by_clients(fault) else nullcontext():
        await _BREAKS[fault.kind](site, fault)
    if fault.seconds:
        site.world.log.add("over", fault.number, fault.kind)


def _is_seen_by_clients(fault: Fault) -> bool:
    return fault.target.endswith("|clients") or (fault.kind == "crash" and fault.target.startswith("gateway"))


def _severity(fault: Fault) -> float:
    return float(fault.parameters["severity"])


async def _crash(site: Site, fault: Fault) -> None:
    site.world.process(fault.target).crash()


async def _crash_at_acknowledgement(site: Site, fault: Fault) -> None:
    with site.crashing_at_acknowledgements(fault.target, share=0.02 + 0.3 * _severity(fault)):
        await trio.sleep(fault.seconds)


async def _crash_all_engines(site: Site, fault: Fault) -> None:
    for name in site.engines:
        site.take_down(name)
        site.world.process(name).crash()
    await trio.sleep(fault.seconds)
    for name in site.engines:
        site.put_up(name)


async def _power(site: Site, fault: Fault) -> None:
    # The host is gone before its process is, so that nobody is notified.
    site.world.network.power_off(fault.target)
    site.world.process(fault.target).crash()
    await trio.sleep(fault.seconds)
    site.world.network.power_on(fault.target)


async def _power_of_all(site: Site, fault: Fault) -> None:
    for name in site.engines:
        site.world.network.power_off(name)
    site.lose_power()
    await trio.sleep(fault.seconds)
    for name in site.engines:
        site.world.network.power_on(name)


def _links(site: Site, fault: Fault) -> Iterator[tuple[Link, Link]]:
    one, _, other = fault.target.partition("|")
    others = site.clients if other == "clients" else [other]
    for each in others:
        yield site.world.network.between(one, each)


async def _partition(site: Site, fault: Fault) -> None:
    links = list(_links(site, fault))
    direction = fault.parameters["direction"]
    broken = [
        link for pair in links for name, link in zip(("out", "back"), pair, strict=True) if direction in ("both", name)
    ]
    for link in broken:
        link.blocked += 1
    await trio.sleep(fault.seconds)
    for link in broken:
        link.blocked -= 1


async def _change(links: Sequence[Link], name: str, value: float, seconds: float) -> None:
    for link in links:
        setattr(link, name, getattr(link, name) + value)
    await trio.sleep(seconds)
    for link in links:
        setattr(link, name, max(0.0, getattr(link, name) - value))


async def _delay(site: Site, fault: Fault) -> None:
    links = [link for pair in _links(site, fault) for link in pair]
    await _change(links, "latency", 0.02 * 100 ** _severity(fault), fault.seconds)


async def _loss(site: Site, fault: Fault) -> None:
    links = [link for pair in _links(site, fault) for link in pair]
    await _change(links, "loss", 0.02 + 0.5 * _severity(fault), fault.seconds)


async def _duplicates(site: Site, fault: Fault) -> None:
    await _change([pair[0] for pair in _links(site, fault)], "duplication", 0.5, fault.seconds)


async def _repeated_answers(site: Site, fault: Fault) -> None:
    await _change([pair[1] for pair in _links(site, fault)], "repetition", 0.5, fault.seconds)


async def _reset(site: Site, fault: Fault) -> None:
    one, _, other = fault.target.partition("|")
    for each in site.clients if other == "clients" else [other]:
        site.world.network.reset(one, each)


async def _kill_worker(site: Site, fault: Fault) -> None:
    if fault.target in site.workers:
        site.workers[fault.target].kill_one()


async def _memory(site: Site, fault: Fault) -> None:
    if fault.target in site.workers:
        site.workers[fault.target].run_out_of_memory()


async def _hang_workers(site: Site, fault: Fault) -> None:
    faults = site.faults_of_workers(fault.target)
    faults.hanging += 1
    await trio.sleep(fault.seconds)
    faults.hanging -= 1


async def _no_workers(site: Site, fault: Fault) -> None:
    faults = site.faults_of_workers(fault.target)
    faults.refusing += 1
    if fault.target in site.workers:
        site.workers[fault.target].kill_all()
    await trio.sleep(fault.seconds)
    faults.refusing -= 1


async def _slow_workers(site: Site, fault: Fault) -> None:
    faults, times = site.faults_of_workers(fault.target), 2 + 30 * _severity(fault)
    faults.slowness *= times
    await trio.sleep(fault.seconds)
    faults.slowness /= times


async def _step_clock(site: Site, fault: Fault) -> None:
    seconds = (_severity(fault) - 0.5) * 4 * 3600
    skew = site.world.process(fault.target).skew
    skew.step(seconds)
    await trio.sleep(fault.seconds)
    skew.step(-seconds)


async def _drift_clock(site: Site, fault: Fault) -> None:
    skew = site.world.process(fault.target).skew
    skew.drift(0.8 + 0.4 * _severity(fault), site.world.now)
    await trio.sleep(fault.seconds)
    skew.drift(1.0, site.world.now)


async def _store_errors(site: Site, fault: Fault) -> None:
    with site.store_errors(share=0.2 + 0.8 * _severity(fault), after=_severity(fault) > 0.6):
        await trio.sleep(fault.seconds)


async def _stores_and_engines(site: Site, fault: Fault) -> None:
    # What an engine has only in its memory, since no store takes it, must not have been promised.
    outage = site.store_errors(share=1.0, after=False)
    with outage if site.servers is None else site.servers.database.outage():
        await trio.sleep((0.3 + 0.6 * _severity(fault)) * fault.seconds)
        for name in site.engines:
            site.world.process(name).crash()
        await trio.sleep((0.7 - 0.6 * _severity(fault)) * fault.seconds)


async def _stop_server(site: Site, fault: Fault) -> None:
    with _server(site, fault).outage():
        await trio.sleep(fault.seconds)


async def _freeze_server(site: Site, fault: Fault) -> None:
    with _server(site, fault).suspension():
        await trio.sleep(fault.seconds)


async def _cut_server(site: Site, fault: Fault) -> None:
    engine = site.engines[int(_severity(fault) * len(site.engines))]
    with _server(site, fault).partition(site.incarnation(engine)):
        await trio.sleep(fault.seconds)


async def _server_errors(site: Site, fault: Fault) -> None:
    kinds = list(CallFault)
    share = (0.05 + 0.5 * _severity(fault)) / len(kinds)
    with _server(site, fault).changed(partial(replace, rates=tuple((kind, share) for kind in kinds))):
        await trio.sleep(fault.seconds)


async def _slow_server(site: Site, fault: Fault) -> None:
    most = 0.02 * 200 ** _severity(fault)
    with _server(site, fault).changed(partial(replace, least_seconds=most / 4, most_seconds=most)):
        await trio.sleep(fault.seconds)


async def _full_server(site: Site, fault: Fault) -> None:
    with _server(site, fault).changed(partial(replace, disk_full=True)):
        await trio.sleep(fault.seconds)


def _server(site: Site, fault: Fault) -> SimulatedServer:
    assert site.servers is not None
    return site.servers.by_name[fault.target]


async def _full_disk(site: Site, fault: Fault) -> None:
    with site.full_disk(share=0.3 + 0.7 * _severity(fault)):
        await trio.sleep(fault.seconds)


KINDS: Mapping[str, tuple[float, str, float]] = {
    "crash": (3.0, "process", 0.0),
    "crash at acknowledgements": (1.5, "engine", 12.0),
    "outage of engines": (0.7, "", 15.0),
    "power": (1.0, "engine", 10.0),
    "power of all engines": (0.7, "", 8.0),
    "partition": (2.5, "link", 12.0),
    "delay": (1.5, "link", 15.0),
    "loss": (1.5, "link", 15.0),
    "duplicates": (0.5, "link", 20.0),
    "answers repeated": (0.8, "hop", 20.0),
    "reset": (1.5, "link", 0.0),
    "worker killed": (1.5, "engine", 0.0),
    "worker out of memory": (0.7, "engine", 0.0),
    "workers hang": (0.8, "engine", 10.0),
    "no workers": (0.7, "engine", 12.0),
    "workers slow": (1.0, "engine", 20.0),
    "clock steps": (0.8, "process", 30.0),
    "clock drifts": (0.5, "process", 40.0),
    "store errors": (2.0, "file", 12.0),
    "stores and engines": (1.2, "", 16.0),
    "server stopped": (1.5, "server", 12.0),
    "server frozen": (1.2, "server", 10.0),
    "server cut off": (1.0, "server", 12.0),
    "server errors": (1.5, "server", 15.0),
    "server slow": (1.0, "server", 15.0),
    "server full": (0.6, "server", 12.0),
    "full disk": (0.8, "", 12.0),
}
"""Kinds of faults: how often, where, and for how many seconds in the mean; 0 for what happens once."""

_BREAKS: Mapping[str, _Break] = {
    "crash": _crash,
    "crash at acknowledgements": _crash_at_acknowledgement,
    "outage of engines": _crash_all_engines,
    "power": _power,
    "power of all engines": _power_of_all,
    "partition": _partition,
    "delay": _delay,
    "loss": _loss,
    "duplicates": _duplicates,
    "answers repeated": _repeated_answers,
    "reset": _reset,
    "worker killed": _kill_worker,
    "worker out of memory": _memory,
    "workers hang": _hang_workers,
    "no workers": _no_workers,
    "workers slow": _slow_workers,
    "clock steps": _step_clock,
    "clock drifts": _drift_clock,
    "store errors": _store_errors,
    "stores and engines": _stores_and_engines,
    "server stopped": _stop_server,
    "server frozen": _freeze_server,
    "server cut off": _cut_server,
    "server errors": _server_errors,
    "server slow": _slow_server,
    "server full": _full_server,
    "full disk": _full_disk,
}
