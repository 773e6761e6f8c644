"""What a store costs: p50 and p99 of a cache hit, an insert and a read, per backend, and the bare driver beside it.

    python -m benchmarks stores

PostgreSQL and Redis are started here, on loopback. "Bare" is psycopg's pool, or redis-py's client, with the same
statements and bytes and none of the policies, cancellation and checks of a store: once in as many plain threads as
there are clients, which is what the driver can do, and once called from Trio by `trio.to_thread`, which is what a
program like this one would do without a store. They take turns, so that a busy machine is as busy for each.
"""

import functools
import secrets
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import redis
import trio
from psycopg_pool import ConnectionPool

from cqox.storage import MemoryCache, ResultCache, ResultStore, SqliteStore, StoredReport
from cqox.storage.postgres import PostgresStore
from cqox.storage.redis import RedisCache
from cqox.storage.redis.values import decode
from cqox.storage.rows import REPORT, report_of, row_of
from tests.servers import Postgres, Redis

SECONDS = 0.5
ROUNDS = 8
SIZE = 8
BODY = ('{"estimates":[' + ",".join(f'{{"name":"e{n}","estimate":{n / 7}}}' for n in range(600)) + "]}").encode()

type Call = Callable[[], Awaitable[object]]


def a_report() -> StoredReport:
    return StoredReport(
        analysis_id=secrets.token_hex(16),
        dataset_id="benchmark",
        created_at="2026-01-01T00:00:00.000000+00:00",
        status="ok",
        verdict="GO",
        primary="e1",
        estimate=1 / 7,
        report=BODY,
        provenance=b"{}",
        figures=BODY,
        digest=blake2b(BODY, digest_size=16).hexdigest(),
    )


ONE = a_report()


async def of_store(call: Call, clients: int) -> list[float]:
    """Seconds of each call by so many clients for a while."""
    taken = list[float]()
    ends = time.perf_counter() + SECONDS

    async def client() -> None:
        while (began := time.perf_counter()) < ends:
            await call()
            taken.append(time.perf_counter() - began)

    await call()
    async with trio.open_nursery() as nursery:
        for _ in range(clients):
            nursery.start_soon(client)
    return taken


def of_threads(call: Callable[[], object], clients: int) -> list[float]:
    """The same by plain threads."""
    taken = list[float]()
    ends = time.perf_counter() + SECONDS

    def client() -> None:
        while (began := time.perf_counter()) < ends:
            call()
            taken.append(time.perf_counter() - began)

    call()
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def line(name: str, clients: int, taken: Sequence[float], *bare: Sequence[float]) -> None:
    ordered = sorted(taken)
    p50, p99 = statistics.median(ordered), ordered[int(0.99 * (len(ordered) - 1))]
    rate = len(taken) / (SECONDS * ROUNDS)
    ratios = "".join(f"{len(other) / len(taken):10.2f}x" for other in bare)
    print(f"{name:28} {clients:7} {1000 * p50:9.2f} {1000 * p99:9.2f} {rate:9.0f} {ratios}")


async def measure(name: str, call: Call, bare: Callable[[], object] | None = None) -> None:
    limiter = trio.CapacityLimiter(SIZE)
    for clients in (1, 16):
        taken, plain, handed = list[float](), list[float](), list[float]()
        for _ in range(ROUNDS):
            taken += await of_store(call, clients)
            if bare is not None:
                plain += await trio.to_thread.run_sync(of_threads, bare, clients)
                handed += await of_store(functools.partial(trio.to_thread.run_sync, bare, limiter=limiter), clients)
        line(name, clients, taken, *([plain, handed] if bare is not None else []))


async def of_result_store(name: str, store: ResultStore, bare: "BarePostgres | None" = None) -> None:
    await store.save(ONE)
    await measure(f"{name} insert", lambda: store.save(a_report()), bare and bare.insert)
    await measure(f"{name} read", lambda: store.load(ONE.analysis_id), bare and bare.read)


async def of_cache(name: str, cache: ResultCache, bare: Callable[[], object] | None = None) -> None:
    await cache.put(ONE)
    await measure(f"{name} hit", lambda: cache.get(ONE.analysis_id), bare)


class BarePostgres:
    """psycopg's pool and the store's statements."""

    def __init__(self, url: str) -> None:
        self.pool = ConnectionPool(url, min_size=SIZE, max_size=SIZE, kwargs={"autocommit": True}, open=True)

    def insert(self) -> None:
        report = a_report()
        marks = ", ".join(["%s"] * 11)
        statement = f"INSERT INTO reports ({REPORT}, document, insertion) VALUES ({marks}, %s::jsonb, %s)"
        with self.pool.connection() as connection:
            connection.execute(statement, (*row_of(report), report.report.decode(), secrets.token_hex(16)))

    def read(self) -> StoredReport:
        with self.pool.connection() as connection:
            query = f"SELECT {REPORT} FROM reports WHERE analysis_id = %s"
            row = connection.execute(query, (ONE.analysis_id,), binary=True).fetchone()
        assert row is not None
        return report_of(row)


def _got(client: redis.Redis, key: str) -> StoredReport:
    # A driver that hands out bytes has not answered yet: what is compared ends with a report.
    return decode(bytes(client.get(key) or b""), ONE.analysis_id, max_bytes=1 << 26)


async def compare(folder: Path, postgres: Postgres, server: Redis) -> None:
    print(f"{'':28} {'clients':>7} {'p50 ms':>9} {'p99 ms':>9} {'calls/s':>9} {'to threads':>11} {'to Trio':>10}")
    await of_cache("memory", MemoryCache())
    client = redis.Redis(port=server.port, max_connections=2 * SIZE)
    async with RedisCache.open(server.url) as cache:
        key = f"cqox:1:report:{ONE.analysis_id}"
        await of_cache("redis", cache, functools.partial(_got, client, key))
    client.close()
    async with SqliteStore.open(folder / "results.sqlite") as store:
        await of_result_store("sqlite", store)
    url = postgres.fresh()
    async with PostgresStore.open(url, size=SIZE) as store:
        await store.save(replace(ONE, analysis_id="first"))
        bare = BarePostgres(url)
        await of_result_store("postgres", store, bare)
        bare.pool.close()


def main() -> None:
    """Measure and print; one report and its figures are 2 x 24 kB."""
    postgres, server = Postgres(), Redis()
    try:
        postgres.start(fsync="on")
        server.start()
        with tempfile.TemporaryDirectory() as folder:
            trio.run(compare, Path(folder), postgres, server)
    finally:
        postgres.close()
        server.close()
