"""Throughput and CPU of the gateway with mutual TLS on both hops, against the same without TLS, in one run.

Real services on loopback. With TLS the client verifies the gateway, and gateway and engine verify each other.
Connections stay open; a handshake costs about 1.5 ms of CPU. Target: at least 0.9 times the requests per second.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks._history import Ratio, record, versions
from benchmarks._load import Connection, Load, closed_loop_on, percentile
from benchmarks.gateway import ANALYZE, CACHED, cpu_seconds, free_port
from cqox.certificates import Credentials
from cqox.certificates.authority import Authority

_CONNECTIONS = 16
_ROUNDS = 8
_ROUND_SECONDS = 2.0
_READY_SECONDS = 60.0
_CASES = (("A cached analysis of 141 KiB", ANALYZE, CACHED), ("A listing of 300 bytes", "/api/datasets", b""))


@dataclass(frozen=True, slots=True)
class _Side:
    name: str
    processes: tuple[int, int]
    connections: tuple[Connection, ...]

    def load(self, path: str, body: bytes) -> Load:
        return closed_loop_on(self.connections, path, lambda: body, seconds=_ROUND_SECONDS)

    def cpu(self) -> float:
        return sum(map(cpu_seconds, self.processes))


def main() -> None:
    """Print throughput, latency and CPU with TLS and without."""
    print("\nClient → gateway → engine on loopback, with mutual TLS and without")
    with tempfile.TemporaryDirectory() as folder, _sides(Path(folder)) as sides:
        for case, path, body in _CASES:
            _compare(case, path, body, sides)


def _compare(case: str, path: str, body: bytes, sides: tuple[_Side, _Side]) -> None:
    loads: dict[str, list[Load]] = {side.name: [] for side in sides}
    cpu: dict[str, list[float]] = {side.name: [] for side in sides}
    for side in sides:
        side.load(path, body)
    for number in range(_ROUNDS):
        # Each is first in every other round.
        for side in sides if number % 2 else sides[::-1]:
            before = side.cpu()
            load = side.load(path, body)
            cpu[side.name].append((side.cpu() - before) / len(load.answers))
            loads[side.name].append(load)
    print(f"\n  {case} at {_CONNECTIONS} connections, {_ROUNDS} rounds of {_ROUND_SECONDS:g} s each, in turn")
    for name in loads:
        waits = sorted(wait for load in loads[name] for wait in load.of(200))
        failed = sum(len(load.answers) - len(load.of(200)) for load in loads[name])
        print(
            f"    {name:<12}{statistics.median(load.per_second for load in loads[name]):8.0f} requests/s   "
            f"p50 {percentile(waits, 0.5) * 1e3:6.1f} ms   p99 {percentile(waits, 0.99) * 1e3:6.1f} ms   "
            f"CPU of both {statistics.median(cpu[name]) * 1e3:5.2f} ms a request   not 200: {failed}"
        )
    plain, secured = loads
    rates = {name: [load.per_second for load in loads[name]] for name in loads}
    _say(f"{case}: requests a second", rates[secured], rates[plain], better="higher", unit="requests/s")
    _say(f"{case}: CPU of a request", cpu[secured], cpu[plain], better="lower", unit="s")


def _say(what: str, ours: list[float], theirs: list[float], *, better: str, unit: str) -> None:
    ratios = sorted(one / other for one, other in zip(ours, theirs, strict=True))
    ratio = statistics.median(ratios)
    target = "; target at least 0.9" if better == "higher" else ""
    print(f"    {what.partition(': ')[2]}: ratio {ratio:.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f}){target}")
    record(
        Ratio(
            case=f"{what}, {_CONNECTIONS} connections",
            ratio=ratio,
            better="higher" if better == "higher" else "lower",
            unit=unit,
            ours=statistics.median(ours),
            theirs=statistics.median(theirs),
            peer="CQOx without TLS",
            peer_version=versions("cqox"),
            threads=1,
            peer_threads=1,
        )
    )


@contextmanager
def _sides(folder: Path) -> Iterator[tuple[_Side, _Side]]:
    authority = Authority.create(folder / "tls")
    for part in ("gateway", "engine"):
        authority.issue(part, days=1)
    credentials = Credentials(folder / "tls" / "gateway")
    variables = {"CQOX_TLS_DIR": str(folder / "tls" / "{service}")}
    with (
        _pair(folder / "plain", "http") as plain,
        _pair(folder / "secured", "https", **variables) as secured,
    ):
        found = []
        for name, (port, processes), own in (("plain", plain, None), ("TLS", secured, credentials)):
            _wait(port, own)
            context = None if own is None else own.current().client
            found.append(_Side(name, processes, tuple(Connection(port, context) for _ in range(_CONNECTIONS))))
        yield found[0], found[1]
        for connection in (*found[0].connections, *found[1].connections):
            connection.close()


@contextmanager
def _pair(folder: Path, scheme: str, **variables: str) -> Iterator[tuple[int, tuple[int, int]]]:
    """Start an engine and a gateway; yield the gateway's port, and both processes."""
    engine, gateway = free_port(), free_port()
    peers = {"CQOX_TLS_PEERS": "spiffe://cqox/gateway"} if variables else {}
    folder.mkdir()
    with (
        _started(folder, "engine", CQOX_ENGINE_PORT=str(engine), **peers, **variables) as first,
        _started(
            folder,
            "gateway",
            CQOX_GATEWAY_PORT=str(gateway),
            ENGINE_URL=f"{scheme}://127.0.0.1:{engine}",
            **variables,
        ) as second,
    ):
        yield gateway, (first.pid, second.pid)


@contextmanager
def _started(folder: Path, service: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "CQOX_DATA_DIR": str(folder), "CQOX_LOG_LEVEL": "error", **variables}
    process = subprocess.Popen([sys.executable, "-m", f"services.{service}"], env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(40)


def _wait(port: int, credentials: Credentials | None) -> None:
    context = None if credentials is None else credentials.current().client
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        with suppress(OSError):
            connection = Connection(port, context)
            status, _ = connection.ask(ANALYZE, CACHED)
            connection.close()
            if status == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"Nothing answers on port {port} after {_READY_SECONDS:g} s.")
