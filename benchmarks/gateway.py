"""Throughput, added latency and overload of the gateway, against the same hop on uvicorn, FastAPI and httpx.

Real services on loopback; every part is bounded in count and time. Targets: at 16 connections at least 1.2 times the
throughput of the peer, with all policies, and at most 0.6 of its CPU; twice the throughput for stored reports and
figures; a drain with an idle client within 0.5 s; at three times the capacity a goodput of 90% of it, with the circuit
closed.
"""

import itertools
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks._history import Ratio, record, versions
from benchmarks._load import Connection, Load, closed_loop, open_loop, percentile

ANALYZE = "/api/analyze/comprehensive"
_MAPPING = {"y": "y", "treatment": "w", "covariates": ["x1", "x2", "x3", "x4"]}
CACHED = json.dumps({"dataset_id": "test", "mapping": _MAPPING}).encode()
_CONNECTIONS = 16
_ROUNDS = 6
_ROUND_SECONDS = 2.5
_READY_SECONDS = 60.0
_OVERLOAD_SECONDS = 8.0
_OVERLOAD_TIMEOUT_MS = 2000
_TOKEN = "bench"

_seeds = itertools.count(1)


def main() -> None:
    """Print throughput, added latency, drain, disconnect and overload."""
    print("\nGateway → engine on loopback")
    with tempfile.TemporaryDirectory() as folder, _services(folder) as (engine, gateway, hop):
        for port in (engine, gateway, hop):
            _, report = Connection(port).ask(ANALYZE, CACHED)
        about = json.loads(report)
        _throughput(gateway, hop, _Question(name="cached analysis", path=ANALYZE, body=CACHED, target=1.2))
        path = f"/api/analyses/{about['analysis_id']}"
        _throughput(gateway, hop, _Question(name="stored report", path=path, target=2.0))
        _throughput(
            gateway, hop, _Question(name="stored figure", path=next(iter(about["figures"].values())), target=2.0)
        )
        _added_latency(engine, gateway, hop)
        _overload(gateway)
        _disconnect(engine, gateway)
        _drain(folder, engine)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A request of the closed loop.

    Attributes:
        name: what it asks for.
        path: its target.
        body: its body; a GET without one.
        target: the ratio of requests a second that is aimed at.
    """

    name: str
    path: str
    body: bytes = b""
    target: float


def _throughput(gateway: int, hop: int, question: _Question) -> None:
    ours: list[Load] = []
    theirs: list[Load] = []
    cpu: dict[int, list[float]] = {gateway: [], hop: []}

    def load(port: int) -> Load:
        return closed_loop(port, question.path, lambda: question.body, connections=_CONNECTIONS, seconds=_ROUND_SECONDS)

    # The workers of a new engine import their modules during the first requests.
    for port in (gateway, hop):
        load(port)
    for _ in range(_ROUNDS):
        for port, into in ((gateway, ours), (hop, theirs)):
            process = _listening(port)
            before = cpu_seconds(process)
            done = load(port)
            cpu[port].append((cpu_seconds(process) - before) / len(done.answers))
            into.append(done)
    print(
        f"\n  A {question.name} at {_CONNECTIONS} connections, {_ROUNDS} rounds of {_ROUND_SECONDS:g} s each, in turn"
    )
    sides = (("CQOx gateway, all policies on", gateway, ours), ("uvicorn + FastAPI + httpx", hop, theirs))
    for name, port, loads in sides:
        rate = statistics.median(load.per_second for load in loads)
        waits = sorted(wait for load in loads for wait in load.of(200))
        failed = sum(len(load.answers) - len(load.of(200)) for load in loads)
        print(
            f"    {name:<32}{rate:8.0f} requests/s   p50 {percentile(waits, 0.5) * 1e3:6.1f} ms   "
            f"p99 {percentile(waits, 0.99) * 1e3:6.1f} ms   "
            f"CPU {statistics.median(cpu[port]) * 1e3:5.2f} ms a request   not 200: {failed}"
        )
    ratios = sorted(our.per_second / their.per_second for our, their in zip(ours, theirs, strict=True))
    print(
        f"    ratio {statistics.median(ratios):.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f}); "
        f"target {question.target:g}"
    )
    ours_per_second, theirs_per_second = (statistics.median(load.per_second for load in loads) for _, _, loads in sides)
    record(
        Ratio(
            case=f"A {question.name}, {_CONNECTIONS} connections",
            ratio=statistics.median(ratios),
            better="higher",
            unit="requests/s",
            ours=ours_per_second,
            theirs=theirs_per_second,
            peer="uvicorn + FastAPI + httpx",
            peer_version=versions("uvicorn", "fastapi", "httpx"),
            threads=1,
            peer_threads=1,
        )
    )
    _cpu(question, cpu[gateway], cpu[hop])


def _cpu(question: _Question, ours: Sequence[float], theirs: Sequence[float]) -> None:
    """Print and record the CPU time of a request at the gateway, which other load on the machine changes least."""
    ratios = sorted(our / their for our, their in zip(ours, theirs, strict=True))
    middle = statistics.median(ratios)
    print(f"    CPU of a request: ratio {middle:.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f}); target 0.6")
    record(
        Ratio(
            case=f"CPU of a {question.name}, {_CONNECTIONS} connections",
            ratio=middle,
            better="lower",
            unit="ms of CPU",
            ours=statistics.median(ours) * 1e3,
            theirs=statistics.median(theirs) * 1e3,
            peer="uvicorn + FastAPI + httpx",
            peer_version=versions("uvicorn", "fastapi", "httpx"),
            threads=1,
            peer_threads=1,
        )
    )


def _added_latency(engine: int, gateway: int, hop: int) -> None:
    waits: dict[int, list[float]] = {engine: [], gateway: [], hop: []}
    connections = {port: Connection(port) for port in waits}
    for _ in range(300):
        for port, connection in connections.items():
            began = time.perf_counter()
            connection.ask(ANALYZE, CACHED)
            waits[port].append(time.perf_counter() - began)
    middle = {port: statistics.median(values) * 1e3 for port, values in waits.items()}
    print("\n  One request at a time, median of 300")
    print(f"    engine {middle[engine]:.2f} ms; through the gateway +{middle[gateway] - middle[engine]:.2f} ms", end="")
    print(f"; through the peer +{middle[hop] - middle[engine]:.2f} ms")


def _overload(gateway: int) -> None:
    # Enough clients to keep both slots and a short queue busy.
    # The first analyses wait for workers that start: they would be taken for the capacity.
    closed_loop(gateway, ANALYZE, fresh, connections=6, seconds=_OVERLOAD_SECONDS / 2)
    capacity = closed_loop(gateway, ANALYZE, fresh, connections=6, seconds=_OVERLOAD_SECONDS).per_second
    load = open_loop(
        gateway,
        ANALYZE,
        fresh,
        per_second=3 * capacity,
        seconds=_OVERLOAD_SECONDS,
        X_Request_Timeout_Ms=str(_OVERLOAD_TIMEOUT_MS),
    )
    good = load.of(200)
    counts = {status: len(load.of(status)) for status in sorted({status for status, _ in load.answers})}
    print(f"\n  Overload: three times the capacity of {capacity:.1f} analyses/s for {_OVERLOAD_SECONDS:g} s")
    print(f"    goodput {load.per_second / capacity:.0%} of capacity; target 90%; answers by status {counts}")
    print(f"    accepted: p50 {percentile(good, 0.5):.2f} s, p99 {percentile(good, 0.99):.2f} s", end="")
    refused = load.of(429)
    if refused:
        print(f"; refused after {percentile(refused, 0.5) * 1e3:.0f} ms (p50)", end="")
    policies = json.loads(Connection(gateway).ask("/api/admin/policies", Authorization=f"Bearer {_TOKEN}")[1])[
        "policies"
    ]
    print(f"; circuit {policies['_call_engine_analyze breaker']['state']}")


def _disconnect(engine: int, gateway: int) -> None:
    parent = _listening(engine)
    taken = []
    for _ in range(5):
        connection = Connection(gateway)
        connection.send(ANALYZE, fresh(repetitions=20_000))
        worker = _waited_for(lambda: _computing(parent))
        began = time.perf_counter()
        connection.close()
        _waited_for(lambda pid=worker: None if _computes(pid) else pid)
        taken.append((time.perf_counter() - began) * 1e3)
    print(f"\n  From a client's disconnect to the freed CPU: median {statistics.median(taken):.0f} ms", end="")
    print(f" (from {min(taken):.0f} to {max(taken):.0f}); target 100 ms")


def _drain(folder: str, engine: int) -> None:
    taken = []
    for _ in range(3):
        with _gateway(folder, engine) as (port, process):
            idle = Connection(port)
            idle.ask(ANALYZE, CACHED)
            began = time.perf_counter()
            process.send_signal(signal.SIGTERM)
            status = process.wait(40)
            taken.append(time.perf_counter() - began)
            idle.close()
    print(f"\n  Drain with an idle kept connection: median {statistics.median(taken):.2f} s, exit {status}", end="")
    print("; target 0.5 s")


def fresh(repetitions: int = 40) -> bytes:
    """Return the body of an analysis that is not in the cache."""
    options = {"seed": next(_seeds), "repetitions": repetitions, "estimators": ["dml_irm_ate"]}
    return json.dumps({"dataset_id": "test", "mapping": _MAPPING, "options": options}).encode()


@contextmanager
def _services(folder: str) -> Iterator[tuple[int, int, int]]:
    engine, hop = free_port(), free_port()
    started = [_start(folder, "-m", "services.engine", CQOX_ENGINE_PORT=str(engine))]
    try:
        wait(engine, "/health/ready", 200)
        command = ["-m", "uvicorn", "benchmarks._fastapi_hop:app", "--port", str(hop), "--log-level", "warning"]
        started.append(_start(folder, *command, ENGINE_URL=f"http://127.0.0.1:{engine}"))
        wait(hop, "/docs", 200)
        with _gateway(folder, engine) as (gateway, _):
            yield engine, gateway, hop
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(40)


@contextmanager
def _gateway(folder: str, engine: int) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = free_port()
    url = f"http://127.0.0.1:{engine}"
    process = _start(
        folder, "-m", "services.gateway", CQOX_GATEWAY_PORT=str(port), ENGINE_URL=url, CQOX_ADMIN_TOKEN=_TOKEN
    )
    try:
        wait(port, "/health/ready", 200)
        yield port, process
    finally:
        process.terminate()
        process.wait(40)


def _start(folder: str, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "CQOX_DATA_DIR": folder, "CQOX_LOG_LEVEL": "error", **variables}
    return subprocess.Popen([sys.executable, *arguments], env=environment)


def wait(port: int, path: str, status: int) -> None:
    """Wait until the service on this port answers with this status."""
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        try:
            connection = Connection(port)
            answered = connection.ask(path)[0]
            connection.close()
        except OSError:
            answered = 0
        if answered == status:
            return
        time.sleep(0.05)
    raise SystemExit(f"Nothing answers {status} on port {port} after {_READY_SECONDS:g} s.")


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listening(port: int) -> int:
    """Return the process that listens on the port."""
    state = next(
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()
        if f":{port:04X} 00000000:0000 0A" in line
    )
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(entry) == f"socket:[{state}]":
                return int(entry.parts[2])
        except OSError:
            continue
    raise SystemExit(f"No process listens on port {port}.")


def _waited_for(find: Callable[[], int | None]) -> int:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = find()
        if found is not None:
            return found
        time.sleep(0.0005)
    raise SystemExit("The workers do not do what is waited for.")


def _computing(parent: int) -> int | None:
    """Return the child that runs an analysis: process names of workers show their task."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, fields = entry.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if name == "cqox:analyze" and int(fields.split()[1]) == parent and fields.split()[0] != "Z":
            return int(entry.parts[2])
    return None


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _computes(pid: int) -> bool:
    """Return whether a worker still runs its analysis: an abandoned one gets the next task or is killed."""
    try:
        name, _, fields = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    except OSError:
        return False
    return name == "cqox:analyze" and fields.split()[0] != "Z"
