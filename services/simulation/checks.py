"""Checks at the end of a run, a while after the last fault: every promise kept, everything well, nothing left.

Promises are checked first, then every kind of request at every gateway, then what rests once nobody asks anything.
"""

import gc
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass, replace

import trio

from cqox.chaos.simulation.world import World
from cqox.resilience import registry
from cqox.resilience.circuit.statistics import CircuitSnapshot, CircuitState
from services.gateway.replica import Replica
from services.simulation.last_client import LastClient
from services.simulation.site import Site

__all__ = ["REST_SECONDS", "check_every_gateway", "check_promises", "check_rest", "watch_circuits"]

REST_SECONDS = 40.0
"""Seconds in which nobody asks anything, before it is checked that nothing is in flight."""

_ATTEMPTS = 6
_WATCH_SECONDS = 1.0
_AT_REST = frozenset({"running", "queued", "in_flight", "probing", "waiting"})


async def check_promises(world: World, client: LastClient) -> None:
    """Read everything that was acknowledged to a tenant; by now all is well, so that every answer must come."""
    expected = client.expected
    for analysis_id in list(expected.reports):
        if not await client.read_report(analysis_id) and expected.is_promised(analysis_id):
            world.violated(f"the report {analysis_id}, which was acknowledged as stored, cannot be read")
    for name, dataset_id in list(expected.datasets.items()):
        answer = await client.ask("read_dataset", "GET", f"/api/datasets/{dataset_id}", most=30.0)
        if answer is None and dataset_id not in expected.doubtful:
            world.violated(f"the data set {dataset_id} ({name}), which was acknowledged, cannot be read")
    for job_id, promise in list(expected.jobs.items()):
        state = None
        for _ in range(_ATTEMPTS):
            state = await client.look_at(job_id)
            if state is None or expected.is_final(state):
                break
            # It may have been accepted a moment ago.
            await trio.sleep(5)
        if state is None and not promise.cancelled:
            world.violated(f"the job {job_id}, acknowledged at {promise.at:.1f} s, cannot be read")
        elif state is not None and not expected.is_final(state):
            world.violated(f"the job {job_id}, acknowledged at {promise.at:.1f} s, is still {state}")
        if state == "succeeded" and not await client.read_report(promise.analysis_id):
            world.violated(f"the job {job_id} has succeeded, and its report {promise.analysis_id} cannot be read")
    for key in expected.keys_reused:
        world.violated(f"the idempotency key {key} was taken for two requests")
    await client.check_deleted()
    await client.check_lists()


async def check_every_gateway(world: World, site: Site, client: LastClient) -> None:
    """Ask every gateway for one thing of each kind: all must succeed."""
    for name in site.gateways:
        here = replace(client, gateway=name)
        for kind, succeeds in (await here.ask_everything()).items():
            if not succeeds:
                world.violated(f"{name} does not answer {kind}, long after the last fault")


async def watch_circuits(world: World, others: Set[str] = frozenset()) -> None:
    """Check from time to time that no circuit is closed with more failures than open it; until cancelled.

    Args:
        world: the world.
        others: names of policies that are none of the system's.
    """
    while True:
        await trio.sleep(_WATCH_SECONDS)
        for key, snapshot in _circuits(others):
            try:
                threshold = getattr(registry[key], "settings", None)
            except KeyError:
                # Of an engine that has ended since.
                continue
            most = getattr(threshold, "failure_threshold", None)
            if snapshot.state is CircuitState.CLOSED and most is not None and snapshot.recent_failures > most:
                world.violated(f"the circuit {key} is closed after {snapshot.recent_failures} failures in a row")
                return


def check_rest(world: World, site: Site, others: Set[str] = frozenset()) -> None:
    """Check that nothing is in flight where nobody asks anything, and that every circuit is closed.

    Args:
        world: the world.
        site: the gateways and engines.
        others: names of policies that are none of the system's.
    """
    gc.collect()
    for name in (*site.engines, *site.gateways):
        app = site.apps.get(name)
        if app is None:
            world.violated(f"{name} does not run at the end")
        elif len(app.in_flight):
            world.violated(f"{name} has {len(app.in_flight)} requests in flight at the end")
        else:
            held, opened = len(site.limits[name]), len(world.network.open_sockets(name))
            if held > opened:
                world.violated(f"{name} holds {held} places for {opened} connections at the end")
    for name, pool in sorted(site.pools.items()):
        if pool.busy:
            tasks = ", ".join(worker.task for worker in site.workers[name].alive if worker.task)
            world.violated(f"{name} has {pool.busy} busy workers at the end: {tasks}")
        if pool.idle < len(site.workers[name].alive):
            world.violated(f"{name} has {pool.idle} idle workers at the end of {len(site.workers[name].alive)}")
    for replica in [each for each in gc.get_objects() if isinstance(each, Replica)]:
        if replica.in_flight:
            world.violated(f"{replica.in_flight} attempts at {replica.url} are in flight at the end")
    for key, snapshot in sorted(_policies(others).items()):
        for what, value in _numbers(snapshot):
            if what.rpartition(".")[2] in _AT_REST and value:
                world.violated(f"the policy {key} has {what} {value} at the end")
    for key, snapshot in _circuits(others):
        # Those of a store may be left from an engine that has crashed.
        if snapshot.state is not CircuitState.CLOSED and "engine" in key:
            world.violated(f"the circuit {key} is {snapshot.state.value} at the end")


def _policies(others: Set[str]) -> Mapping[str, object]:
    return {key: each for key, each in registry.snapshot().items() if key not in others}


def _circuits(others: Set[str]) -> Sequence[tuple[str, CircuitSnapshot]]:
    return [(key, each) for key, each in _policies(others).items() if isinstance(each, CircuitSnapshot)]


def _numbers(snapshot: object, path: str = "") -> list[tuple[str, float]]:
    if is_dataclass(snapshot):
        named = {each.name: getattr(snapshot, each.name) for each in fields(snapshot)}
        return _numbers(named, path)
    if isinstance(snapshot, Mapping):
        return [found for name, value in snapshot.items() for found in _numbers(value, f"{path}.{name}")]
    if isinstance(snapshot, list | tuple):
        return [found for number, value in enumerate(snapshot) for found in _numbers(value, f"{path}.{number}")]
    return [(path, snapshot)] if isinstance(snapshot, int | float) and not isinstance(snapshot, bool) else []
