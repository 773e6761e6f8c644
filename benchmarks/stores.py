"""Latency of the stores: p50 and p99 of a cache hit, an insert and a read, per backend and for the bare driver.

    python -m benchmarks stores

PostgreSQL and Redis are started here, on loopback. "Bare" is psycopg's pool, or redis-py's client, with the same
statements and bytes but without the policies, cancellation and checks of a store: once in one plain thread per client,
which is the driver's maximum, and once from Trio by `trio.to_thread`, as a program without our stores would do. Rounds
alternate; each ratio is the median of its rounds. On a busy machine the ratio of CPU seconds per call is more reliable.
"""

import functools
import secrets
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import redis
import trio
from psycopg_pool import ConnectionPool

from benchmarks._history import Ratio, record, versions
from cqox.storage import DEFAULT_TENANT, MemoryCache, ResultCache, ResultStore, SqliteStore, StoredReport
from cqox.storage.postgres import PostgresStore
from cqox.storage.redis import RedisCache
from cqox.storage.redis.values import decode
from cqox.storage.rows import REPORT, report_of, row_of
from cqox.storage.tenant_ids import TenantKeys
from tests.servers import Postgres, Redis

SECONDS = 0.3
ROUNDS = 9
SIZE = 8
_KEYS = TenantKeys(DEFAULT_TENANT)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round of calls.

    Attributes:
        taken: latency of each call in seconds.
        cpu_seconds: CPU time of the process during the round.
    """

    taken: Sequence[float]
    cpu_seconds: float

    @property
    def cpu_per_call(self) -> float:
        return self.cpu_seconds / len(self.taken)


async def of_store(call: Call, clients: int) -> Round:
    """Run calls from concurrent tasks."""
    taken = list[float]()

    async def client() -> None:
        while (began := time.perf_counter()) < ends:
            await call()
            taken.append(time.perf_counter() - began)

    await call()
    used, ends = time.process_time(), time.perf_counter() + SECONDS
    async with trio.open_nursery() as nursery:
        for _ in range(clients):
            nursery.start_soon(client)
    return Round(taken=taken, cpu_seconds=time.process_time() - used)


def of_threads(call: Callable[[], object], clients: int) -> Round:
    """Run calls from plain threads."""
    taken = list[float]()

    def client() -> None:
        while (began := time.perf_counter()) < ends:
            call()
            taken.append(time.perf_counter() - began)

    call()
    used, ends = time.process_time(), time.perf_counter() + SECONDS
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Round(taken=taken, cpu_seconds=time.process_time() - used)


def line(name: str, clients: int, rounds: Sequence[Round], *bare: Sequence[Round]) -> None:
    ordered = sorted(seconds for one in rounds for seconds in one.taken)
    p50, p99 = statistics.median(ordered), ordered[int(0.99 * (len(ordered) - 1))]
    rate = len(ordered) / (SECONDS * len(rounds))
    ratios = ""
    for against, other in zip(("plain threads", "threads called from Trio"), bare, strict=False):
        pairs = list(zip(rounds, other, strict=True))
        speed = statistics.median(len(them.taken) / len(us.taken) for us, them in pairs)
        cpu = statistics.median(us.cpu_per_call / them.cpu_per_call for us, them in pairs)
        ratios += f"{speed:9.2f}x{cpu:7.2f}x"
        us_seconds, them_seconds = (
            statistics.median([s for one in side for s in one.taken]) for side in (rounds, other)
        )
        us_cpu, them_cpu = (statistics.median(one.cpu_per_call for one in side) for side in (rounds, other))
        case = f"{name}, {clients} {'client' if clients == 1 else 'clients'}, driver in {against}"
        record(_ratio(f"{case}, time", speed, us_seconds, them_seconds, clients))
        record(_ratio(f"{case}, CPU", cpu, us_cpu, them_cpu, clients))
    print(f"{name:20} {clients:7} {1000 * p50:8.2f} {1000 * p99:8.2f} {rate:9.0f} {ratios}")


def _ratio(case: str, ratio: float, ours_seconds: float, theirs_seconds: float, clients: int) -> Ratio:
    driver = "redis" if case.startswith("redis") else "psycopg"
    return Ratio(
        case=case,
        ratio=ratio,
        better="lower",
        unit="ms",
        ours=ours_seconds * 1e3,
        theirs=theirs_seconds * 1e3,
        peer=driver,
        peer_version=versions(driver),
        threads=min(clients, SIZE),
        peer_threads=clients if "plain" in case else min(clients, SIZE),
    )


async def measure(name: str, call: Call, bare: Callable[[], object] | None = None) -> None:
    limiter = trio.CapacityLimiter(SIZE)
    for clients in (1, 16):
        rounds, plain, handed = list[Round](), list[Round](), list[Round]()
        for _ in range(ROUNDS):
            rounds.append(await of_store(call, clients))
            if bare is not None:
                plain.append(await trio.to_thread.run_sync(of_threads, bare, clients))
                handed.append(
                    await of_store(functools.partial(trio.to_thread.run_sync, bare, limiter=limiter), clients)
                )
        line(name, clients, rounds, *([plain, handed] if bare is not None else []))


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
        marks = ", ".join(["%s"] * len(StoredReport.__dataclass_fields__))
        statement = f"INSERT INTO reports ({REPORT}, document, insertion) VALUES ({marks}, %s::jsonb, %s)"
        with self.pool.connection() as connection:
            connection.execute(statement, (*row_of(report), report.report.decode(), secrets.token_hex(16)))

    def read(self) -> StoredReport:
        with self.pool.connection() as connection:
            query = f"SELECT {REPORT} FROM reports WHERE analysis_id = %s"
            row = connection.execute(query, (ONE.analysis_id,), binary=True).fetchone()
        assert row is not None
        return report_of(row, _KEYS)


def _got(client: redis.Redis, key: str) -> StoredReport:
    # A driver returns bytes: decode them, so that both sides end with a report.
    return decode(bytes(client.get(key) or b""), ONE.analysis_id, max_bytes=1 << 26)


async def compare(folder: Path, postgres: Postgres, server: Redis) -> None:
    print(f"{'':47} {'to plain threads':>26} {'to Trio':>15}")
    print(f"{'':20} {'clients':>7} {'p50 ms':>8} {'p99 ms':>8} {'calls/s':>9} {2 * f'{"time":>10}{"CPU":>8}'}")
    await of_cache("memory", MemoryCache().within(DEFAULT_TENANT))
    client = redis.Redis(port=server.port, max_connections=2 * SIZE)
    async with RedisCache.open(server.url) as caches:
        cache = caches.within(DEFAULT_TENANT)
        key = f"cqox:2:{DEFAULT_TENANT}:report:{ONE.analysis_id}"
        await of_cache("redis", cache, functools.partial(_got, client, key))
    client.close()
    async with SqliteStore.open(folder / "results.sqlite") as sqlite:
        await of_result_store("sqlite", sqlite.within(DEFAULT_TENANT))
    url = postgres.fresh()
    async with PostgresStore.open(url, size=SIZE) as database:
        store = database.within(DEFAULT_TENANT)
        await store.save(replace(ONE, analysis_id="first"))
        bare = BarePostgres(url)
        await of_result_store("postgres", store, bare)
        bare.pool.close()


def main() -> None:
    """Measure and print; a report with its figures is 2 x 24 kB."""
    postgres, server = Postgres(), Redis()
    try:
        postgres.start(fsync="on")
        server.start()
        with tempfile.TemporaryDirectory() as folder:
            trio.run(compare, Path(folder), postgres, server)
    finally:
        postgres.close()
        server.close()
