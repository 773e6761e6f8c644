"""Each kind of fault on a running CQOx: an async context manager that breaks on entering and repairs on leaving."""

import errno
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import httpx
import trio

from cqox.chaos.experiments.experiment import Fault
from cqox.chaos.experiments.ownership import Owned
from cqox.chaos.proxy import Conditions, FaultProxy
from tests.chaos.conditions import network_conditions
from tests.e2e.stack import Service
from tests.e2e.test_clock_skew import faked
from tests.servers.certificates import expired

if TYPE_CHECKING:
    from tests.chaos.system import CqoxSystem

__all__ = ["FAULTS"]

_ENDING_SECONDS = 60.0
_CERTIFICATE_DAYS = 1.0


def _of[T](fault: Fault, found: list[T]) -> list[T]:
    """The first, or all."""
    return found if fault.target.mode == "all" else found[:1]


async def _gone(system: "CqoxSystem", pid: int) -> None:
    """Wait until a process has ended, and take its status where it is a child of this one."""
    for service in (*system.gateways, *system.engines):
        if service.process.pid == pid:
            await system.call(partial(service.process.wait, _ENDING_SECONDS))
            return
    for server in (system.postgres, system.redis, system.openbao, system.objects, system.provider):
        process = None if server is None else server._process
        if process is not None and process.pid == pid:
            await system.call(partial(process.wait, _ENDING_SECONDS))
            return


async def _restart(system: "CqoxSystem", fault: Fault, services: list[Service]) -> None:
    component = fault.target.component
    if component in ("gateway", "engine"):
        for service in services:
            await system.start(service)
        return
    server = {
        "postgres": system.postgres,
        "redis": system.redis,
        "openbao": system.openbao,
        "object-store": system.objects,
        "identity-provider": system.provider,
    }.get(component)
    # Nobody starts a worker but its engine.
    if server is not None:
        await system.call(server.start)
        system.owned.add(server._process.pid)


@asynccontextmanager
async def _ended(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    number = signal.SIGKILL if fault.kind == "process-kill" else signal.SIGTERM
    component = fault.target.component
    services = _of(fault, system.services(component))
    if component == "worker":
        for engine in _of(fault, system.engines):
            for each in system.owned.tree(engine.process.pid)[1:]:
                system.owned.signal_one(each, number)
        yield
        return
    pids = _of(fault, system.roots(component))
    for pid in pids:
        system.owned.signal(pid, number)
    try:
        if number == signal.SIGKILL:
            for pid in pids:
                await _gone(system, pid)
        yield
    finally:
        with trio.CancelScope(shield=True):
            for pid in pids:
                await _gone(system, pid)
            await _restart(system, fault, services)


@asynccontextmanager
async def _paused(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    stopped: list[Owned] = []
    if fault.target.component == "worker":
        trees = [system.owned.tree(engine.process.pid)[1:] for engine in _of(fault, system.engines)]
    else:
        trees = [system.owned.tree(pid) for pid in _of(fault, system.roots(fault.target.component))]
    try:
        for tree in trees:
            for each in tree:
                system.owned.signal_one(each, signal.SIGSTOP)
                stopped.append(each)
        yield
    finally:
        for each in stopped:
            system.owned.signal_one(each, signal.SIGCONT)


@asynccontextmanager
async def _network(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    if system.packets is not None and fault.target.name == "gateway->engine":
        lost = system.packets.lost
        with system.packets.under(fault.kind, fault.parameters):
            yield
        system.notes.append(f"Of its packets {system.packets.lost - lost} were lost.")
        return
    conditions = network_conditions(fault)
    if fault.kind == "network-loss":
        system.notes.append("Lost packets are made by the proxy: what is lost comes a retransmission timeout later.")
    proxies: list[FaultProxy] = _of(fault, system.proxies[fault.target.name])
    for proxy in proxies:
        await proxy.apply(conditions)
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            for proxy in proxies:
                await proxy.apply(Conditions())
        if corrupted := sum(proxy.corrupted for proxy in proxies):
            system.notes.append(f"The proxy has changed {corrupted} bytes.")
        if resets := sum(proxy.reset for proxy in proxies):
            system.notes.append(f"The proxy has reset {resets} connections.")
        if replaced := sum(proxy.replaced for proxy in proxies):
            system.notes.append(f"The proxy has met {replaced} requests.")


@asynccontextmanager
async def _stressed(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    if fault.kind == "stress-cpu":
        programs = ["while True: pass"] * int(fault.parameters["workers"])
    else:
        size = int(fault.parameters["size_bytes"])
        programs = [f"import time; held = bytearray(b'x') * {size}; time.sleep(3600)"]
    made = await system.call(lambda: [subprocess.Popen([sys.executable, "-c", each]) for each in programs])
    try:
        yield
    finally:
        for process in made:
            process.kill()
            process.wait()


@asynccontextmanager
async def _io_fault(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    disk = system.disk
    assert disk is not None, "the experiment needs the part small-disk"
    if fault.parameters["errno"] == errno.errorcode[errno.ENOSPC]:
        breaking, repairing = disk.fill, disk.clear
    else:
        # The kernel refuses that while a file is open for writing, so that the engine is started on such a disk.
        breaking, repairing = partial(disk.remount, "ro"), partial(disk.remount, "rw")
        for engine in system.engines:
            await system.call(engine.stop)
    await system.call(breaking)
    try:
        for engine in system.engines:
            if engine.process.poll() is not None:
                await system.start(engine)
        yield
    finally:
        with trio.CancelScope(shield=True):
            await system.call(repairing)


@asynccontextmanager
async def _locked(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    """Hold the write lock of the file of results for a time, again and again."""
    ending = threading.Event()

    def hold() -> None:
        connection = sqlite3.connect(system.data / "results.sqlite", isolation_level=None, timeout=30)
        try:
            while not ending.is_set():
                connection.execute("BEGIN IMMEDIATE")
                ending.wait(float(fault.parameters["latency"]))
                connection.execute("ROLLBACK")
                ending.wait(0.05)
        finally:
            connection.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, hold)
        try:
            yield
        finally:
            ending.set()


@asynccontextmanager
async def _clock(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    """Start services again with a wrong clock, since that of a running process cannot be set."""
    services = _of(fault, system.services(fault.target.component))
    offset = float(fault.parameters["offset"])
    try:
        for service in services:
            await _started_again(system, service, _wrong_clock(int(offset)))
        yield
    finally:
        with trio.CancelScope(shield=True):
            for service in services:
                for name in _wrong_clock(0):
                    service.environment.pop(name, None)
                await _started_again(system, service, {})


def _wrong_clock(offset: int) -> dict[str, str]:
    # Without the memory that processes share under faketime, whose lock costs twenty times as much as the services do.
    return {**faked(offset), "FAKETIME_DISABLE_SHM": "1"}


async def _started_again(system: "CqoxSystem", service: Service, settings: Mapping[str, str]) -> None:
    await system.call(service.stop)
    service.environment |= settings
    await system.start(service)
    await system.until_well(_ENDING_SECONDS)


@asynccontextmanager
async def _sealed(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    bao = system.openbao
    assert bao is not None
    await system.call(bao.seal)
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            await system.call(bao.unseal)


@asynccontextmanager
async def _revoked(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    """Revoke the key of the load by another one, and make a new one afterwards."""
    load_key = (await system.client.post("/api/keys", json={"name": "load", "roles": ["steward"]})).json()
    operator, steward = system.client, system.key
    system.key = load_key["key"]
    await system.renew_client()
    await trio.sleep(0.5)
    answer = await operator.delete(f"/api/keys/{load_key['key_id']}")
    assert answer.status_code == httpx.codes.NO_CONTENT, answer.text
    try:
        yield
    finally:
        system.key = steward
        with trio.CancelScope(shield=True):
            await system.renew_client()


@asynccontextmanager
async def _certificate(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    authority, part = system.authority, fault.target.component
    assert authority is not None
    await system.call(lambda: expired(authority, part))
    if part == "client":
        await system.renew_client()
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            await system.call(lambda: authority.issue(part, days=_CERTIFICATE_DAYS))
            if part == "client":
                await system.renew_client()


@asynccontextmanager
async def _read_only(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    postgres = system.postgres
    assert postgres is not None

    def change(value: str) -> None:
        postgres.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        postgres.execute("SELECT pg_reload_conf()")

    await system.call(lambda: change("on"))
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            await system.call(lambda: change("off"))


@asynccontextmanager
async def _terminated(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    def end() -> None:
        if fault.target.component == "postgres":
            assert system.postgres is not None
            system.postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE usename IS NOT NULL AND pid <> pg_backend_pid()"
            )
        else:
            assert system.redis is not None
            with system.redis.client() as client:
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    await system.call(end)
    yield


@asynccontextmanager
async def _flushed(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    def flush() -> None:
        assert system.redis is not None
        with system.redis.client() as client:
            client.flushall()

    await system.call(flush)
    yield


@asynccontextmanager
async def _cache_full(system: "CqoxSystem", fault: Fault) -> AsyncIterator[None]:
    def limit(size: int) -> None:
        assert system.redis is not None
        with system.redis.client() as client:
            client.config_set("maxmemory", size)

    await system.call(lambda: limit(1))
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            await system.call(lambda: limit(0))


type Break = Callable[["CqoxSystem", Fault], AbstractAsyncContextManager[None]]

FAULTS: Mapping[str, Break] = {
    "process-kill": _ended,
    "process-terminate": _ended,
    "process-pause": _paused,
    "network-delay": _network,
    "network-loss": _network,
    "network-corrupt": _network,
    "network-duplicate": _network,
    "network-partition": _network,
    "network-bandwidth": _network,
    "network-refuse": _network,
    "network-reset": _network,
    "network-slow-read": _network,
    "http-abort": _network,
    "http-delay": _network,
    "http-replace": _network,
    "stress-cpu": _stressed,
    "stress-memory": _stressed,
    "io-fault": _io_fault,
    "io-latency": _locked,
    "clock-offset": _clock,
    "vault-seal": _sealed,
    "key-revoke": _revoked,
    "certificate-expire": _certificate,
    "store-read-only": _read_only,
    "connections-terminate": _terminated,
    "cache-flush": _flushed,
    "cache-full": _cache_full,
}
