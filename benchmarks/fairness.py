"""Analyses of a tenant next to one that sends ten requests for each of its own: the 95th percentile of its latency.

A real gateway and engine with API keys on loopback; no analysis is cached. The tenant sends one request at a time, the
greedy one keeps ten in flight. The arms take turns in short rounds. Target: at most 1.5 times the latency without the
greedy one. The last arm shows the same load by two keys of one tenant, which share one queue.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks._load import Connection, percentile
from benchmarks.gateway import ANALYZE, free_port, fresh, wait

_ROUNDS = 6
_REQUESTS = 12
"""Requests of the tenant in each round of each arm."""
_GREEDY = 10
_HOP_KEY = "a key of this benchmark and of nothing else"


def main() -> None:
    """Print the latency of a tenant alone, next to a greedy tenant, and next to a greedy key of its own tenant."""
    print("\nA tenant next to a greedy one, uncached analyses")
    arms: dict[str, list[float]] = {"alone": [], "next to a greedy tenant": [], "next to a greedy key of its own": []}
    refused = dict.fromkeys(arms, 0)
    with tempfile.TemporaryDirectory() as folder, _services(folder) as (port, keys):
        mine, second, greedy = keys
        _measured(port, mine, None, 4)
        for _ in range(_ROUNDS):
            for name, other in zip(arms, (None, greedy, second), strict=True):
                waits, failed = _measured(port, mine, other, _REQUESTS)
                arms[name] += waits
                refused[name] += failed
    print(f"  {_ROUNDS} rounds of {_REQUESTS} requests each, in turn; {os.cpu_count()} CPUs, two slots")
    alone = percentile(sorted(arms["alone"]), 0.95)
    for name, waits in arms.items():
        late = percentile(sorted(waits), 0.95)
        print(
            f"    {name:<32}p50 {statistics.median(waits):6.2f} s   p95 {late:6.2f} s   "
            f"{late / alone:5.2f} times alone   not 200: {refused[name]}"
        )
    print("    target: at most 1.5 times next to a greedy tenant")


def _measured(port: int, key: str, other: str | None, requests: int) -> tuple[list[float], int]:
    """Return the latencies of a key's requests in seconds, and how many were refused, under the load of another."""
    ended = threading.Event()

    def load() -> None:
        connection = Connection(port)
        while not ended.is_set():
            connection.ask(ANALYZE, fresh(), Authorization=f"Bearer {other}")
        connection.close()

    threads = [threading.Thread(target=load) for _ in range(_GREEDY if other else 0)]
    for thread in threads:
        thread.start()
    if threads:
        # Until its queue is as long as it stays.
        ended.wait(1.0)
    connection, waits, failed = Connection(port), list[float](), 0
    for _ in range(requests):
        began = time.perf_counter()
        failed += connection.ask(ANALYZE, fresh(), Authorization=f"Bearer {key}")[0] != 200
        waits.append(time.perf_counter() - began)
    connection.close()
    ended.set()
    for thread in threads:
        thread.join()
    return waits, failed


@contextmanager
def _services(folder: str) -> Iterator[tuple[int, tuple[str, str, str]]]:
    engine, gateway = free_port(), free_port()
    common = {
        "CQOX_DATA_DIR": folder,
        "CQOX_LOG_LEVEL": "error",
        "CQOX_AUTH": "keys",
        "CQOX_KEYS": "none",
        "CQOX_HOP_KEY": _HOP_KEY,
    }
    environment = {**os.environ, **common, "CQOX_CONCURRENT_ANALYSES": "2"}
    ports = {
        "CQOX_ENGINE_PORT": str(engine),
        "CQOX_GATEWAY_PORT": str(gateway),
        "ENGINE_URL": f"http://127.0.0.1:{engine}",
    }
    keys = tuple(_key(environment, tenant) for tenant in ("small", "small", "greedy"))
    started = []
    try:
        for name, port in (("engine", engine), ("gateway", gateway)):
            command = [sys.executable, "-m", f"services.{name}"]
            started.append(subprocess.Popen(command, env=environment | ports))
            wait(port, "/health/ready", 200)
        yield gateway, (keys[0], keys[1], keys[2])
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(40)


def _key(environment: dict[str, str], tenant: str) -> str:
    program = str(Path(sys.executable).with_name("cqox"))
    command = [program, "keys", "create", "--role", "analyst", "--tenant", tenant, "--new-tenant"]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
