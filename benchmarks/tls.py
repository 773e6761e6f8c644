"""Throughput and CPU of the gateway with mutual TLS on both hops, and with a bearer token too, against neither.

Real services on loopback, all arms in one run and in turn. With TLS the client verifies the gateway, and gateway and
engine verify each other; the token is an access token that the gateway has verified before. The last arm has the audit
log too, which is on by default where there is a login. Connections stay open; a handshake costs about 1.5 ms of CPU.
Target: at least 0.9 times the requests per second, without the audit log. The client decrypts on the same CPUs as the
services, so its CPU is shown next to theirs.
"""

import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks._history import Ratio, record, versions
from benchmarks._issuer import AUDIENCE, issuer
from benchmarks._load import Connection, Load, closed_loop_on, percentile
from benchmarks.gateway import ANALYZE, CACHED, cpu_seconds, free_port
from cqox.certificates import Credentials
from cqox.certificates.authority import Authority

_CONNECTIONS = 16
_ROUNDS = 16
_ROUND_SECONDS = 1.0
_READY_SECONDS = 60.0
_CASES = (("A cached analysis of 141 KiB", ANALYZE, CACHED), ("A listing of 300 bytes", "/api/datasets", b""))


@dataclass(frozen=True, slots=True)
class _Arm:
    name: str
    processes: tuple[int, int]
    connections: tuple[Connection, ...]
    headers: dict[str, str]

    def load(self, path: str, body: bytes) -> "_Round":
        served, own = self._cpu(), time.process_time()
        load = closed_loop_on(self.connections, path, lambda: body, seconds=_ROUND_SECONDS, **self.headers)
        count = len(load.answers)
        return _Round(load, (self._cpu() - served) / count, (time.process_time() - own) / count)

    def _cpu(self) -> float:
        return sum(map(cpu_seconds, self.processes))


@dataclass(frozen=True, slots=True)
class _Round:
    """One round of an arm, with the seconds of CPU for each request."""

    load: Load
    services: float
    client: float


def main() -> None:
    """Print throughput, latency and CPU of each arm."""
    print(
        "\nClient → gateway → engine on loopback: plain, with mutual TLS, and with mutual TLS and a known access token"
    )
    print(f"  {os.cpu_count()} CPUs for gateway, engine and the client's {_CONNECTIONS} threads")
    with tempfile.TemporaryDirectory() as folder, _arms(Path(folder)) as arms:
        for case, path, body in _CASES:
            _compare(case, path, body, arms)


def _compare(case: str, path: str, body: bytes, arms: tuple[_Arm, ...]) -> None:
    rounds: dict[str, list[_Round]] = {arm.name: [] for arm in arms}
    for arm in arms:
        arm.load(path, body)
    for number in range(_ROUNDS):
        # Each is first equally often.
        for arm in (arms[(number + place) % len(arms)] for place in range(len(arms))):
            rounds[arm.name].append(arm.load(path, body))
    print(f"\n  {case} at {_CONNECTIONS} connections, {_ROUNDS} rounds of {_ROUND_SECONDS:g} s each, in turn")
    for name, found in rounds.items():
        waits = sorted(wait for each in found for wait in each.load.of(200))
        failed = sum(len(each.load.answers) - len(each.load.of(200)) for each in found)
        print(
            f"    {name:<12}{statistics.median(each.load.per_second for each in found):6.0f} requests/s   "
            f"p50 {percentile(waits, 0.5) * 1e3:6.1f} ms   p99 {percentile(waits, 0.99) * 1e3:6.1f} ms   "
            f"CPU of a request: both services {statistics.median(each.services for each in found) * 1e3:5.2f} ms, "
            f"client {statistics.median(each.client for each in found) * 1e3:4.2f} ms   not 200: {failed}"
        )
    plain = rounds.pop(arms[0].name)
    for name, found in rounds.items():
        _say(case, name, "requests a second", [[each.load.per_second for each in side] for side in (found, plain)])
        _say(case, name, "CPU of a request", [[each.services for each in side] for side in (found, plain)])


def _say(case: str, name: str, what: str, figures: list[list[float]]) -> None:
    ratios = sorted(one / other for one, other in zip(*figures, strict=True))
    ratio = statistics.median(ratios)
    rate = what.startswith("requests")
    target = "; target at least 0.9" if rate and "audit" not in name else ""
    print(f"    {name}, {what}: ratio {ratio:.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f}){target}")
    beyond = {"TLS + token": " with a token", "with audit": " with a token and the audit log"}.get(name, "")
    record(
        Ratio(
            case=f"{case}{beyond}: {what}, {_CONNECTIONS} connections",
            ratio=ratio,
            better="higher" if rate else "lower",
            unit="requests/s" if rate else "s",
            ours=statistics.median(figures[0]),
            theirs=statistics.median(figures[1]),
            peer="CQOx without TLS",
            peer_version=versions("cqox"),
            threads=1,
            peer_threads=1,
        )
    )


@contextmanager
def _arms(folder: Path) -> Iterator[tuple[_Arm, ...]]:
    authority = Authority.create(folder / "tls")
    for part in ("gateway", "engine"):
        authority.issue(part, days=1)
    credentials = Credentials(folder / "tls" / "gateway")
    secured = {"CQOX_TLS_DIR": str(folder / "tls" / "{service}")}
    with ExitStack() as stack:
        address, token = stack.enter_context(issuer("default", "analyst"))
        signed_in = {
            "CQOX_AUTH": "oidc",
            "CQOX_KEYS": "none",
            "CQOX_OIDC_ISSUER": address,
            "CQOX_OIDC_AUDIENCE": AUDIENCE,
        }
        bearer = {"Authorization": f"Bearer {token}"}
        found = []
        for name, own, headers, variables in (
            ("plain", None, {}, {}),
            ("TLS", credentials, {}, secured),
            ("TLS + token", credentials, bearer, secured | signed_in | {"CQOX_AUDIT": "off"}),
            ("with audit", credentials, bearer, secured | signed_in),
        ):
            port, processes = stack.enter_context(_pair(folder / name, **variables))
            _wait(port, own, headers)
            found.append((name, port, processes, None if own is None else own.current().client, headers))
        # Once all services run: a connection that is idle for a minute is closed.
        yield tuple(
            _Arm(name, processes, _connected(stack, port, context), headers)
            for name, port, processes, context, headers in found
        )


def _connected(stack: ExitStack, port: int, context: ssl.SSLContext | None) -> tuple[Connection, ...]:
    connections = tuple(Connection(port, context) for _ in range(_CONNECTIONS))
    for connection in connections:
        stack.callback(connection.close)
    return connections


@contextmanager
def _pair(folder: Path, **variables: str) -> Iterator[tuple[int, tuple[int, int]]]:
    """Start an engine and a gateway; yield the gateway's port, and both processes."""
    engine, gateway = free_port(), free_port()
    secured = "CQOX_TLS_DIR" in variables
    peers = {"CQOX_TLS_PEERS": "spiffe://cqox/gateway"} if secured else {}
    folder.mkdir()
    with (
        _started(folder, "engine", CQOX_ENGINE_PORT=str(engine), **peers, **variables) as first,
        _started(
            folder,
            "gateway",
            CQOX_GATEWAY_PORT=str(gateway),
            ENGINE_URL=f"{'https' if secured else 'http'}://127.0.0.1:{engine}",
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


def _wait(port: int, credentials: Credentials | None, headers: dict[str, str]) -> None:
    context = None if credentials is None else credentials.current().client
    end = time.monotonic() + _READY_SECONDS
    status = 0
    while time.monotonic() < end:
        with suppress(OSError):
            connection = Connection(port, context)
            status, _ = connection.ask(ANALYZE, CACHED, **headers)
            connection.close()
            if status == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"Port {port} answers {status or 'nothing'} after {_READY_SECONDS:g} s.")
