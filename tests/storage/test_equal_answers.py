"""Embedded and server backends give equal answers to the same random sequence of operations."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random

import anyio.from_thread
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from cqox.storage import JobStatus, Looks, MemoryCache, ResultCache, ResultStore, SqliteStore
from cqox.storage.postgres import PostgresStore
from cqox.storage.redis import RedisCache
from services.simulation.stores.cache import open_cache
from services.simulation.stores.cache_server import CacheServer
from services.simulation.stores.database import open_database
from services.simulation.stores.database_server import DatabaseServer
from tests.servers import Postgres, Redis
from tests.storage.bound import a_cache, in_default
from tests.storage.records import a_dataset, a_job, a_report, a_share, an_annotation

pytestmark = pytest.mark.xdist_group("servers")

NUMBERS = st.integers(0, 5)
# Not shrunk: on real servers that takes longer than a test may, and the limit would hide the difference found.
SEQUENCES = settings(
    stateful_step_count=30,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
FLOATS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.sampled_from(["2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.5+00:00", "2026-02-01T00:00:00+00:00"])


def test_sqlite_postgres_and_its_simulation_give_equal_answers_to_any_sequence(
    postgres_server: Postgres, tmp_path: Path
) -> None:
    numbers = count()
    with anyio.from_thread.start_blocking_portal("trio") as portal:

        class Machine(RuleBasedStateMachine):
            def __init__(self) -> None:
                super().__init__()
                self.stack = AsyncExitStack()
                self.next: str | None = None
                self.next_jobs: str | None = None

            @initialize()
            def open(self) -> None:
                async def enter() -> tuple[SqliteStore, PostgresStore, PostgresStore]:
                    server = DatabaseServer(rng=Random(1), now=time.time)
                    self.stack.callback(server.close)
                    return (
                        await self.stack.enter_async_context(
                            in_default(SqliteStore.open, tmp_path / f"{next(numbers)}.sqlite")
                        ),
                        await self.stack.enter_async_context(
                            in_default(PostgresStore.open, postgres_server.fresh(), size=1)
                        ),
                        await self.stack.enter_async_context(in_default(open_database, server, client="engine")),
                    )

                self.stores = portal.call(enter)

            def both[T](self, call: Callable[[ResultStore], Awaitable[T]]) -> T:
                async def ask() -> list[T]:
                    return [await call(store) for store in self.stores]

                sqlite, postgres, simulated = portal.call(ask)
                assert sqlite == postgres
                assert simulated == postgres
                return sqlite

            @rule(number=NUMBERS, dataset=NUMBERS, at=TIMES, primary=st.none() | TEXT, estimate=FLOATS)
            def save(self, number: int, dataset: int, at: str, primary: str | None, estimate: float | None) -> None:
                report = replace(
                    a_report(number, dataset_id=str(dataset % 2), created_at=at), primary=primary, estimate=estimate
                )
                self.both(lambda store: store.save(report))

            @rule(number=NUMBERS)
            def load(self, number: int) -> None:
                self.both(lambda store: store.load(a_report(number).analysis_id))

            @rule(dataset=st.none() | NUMBERS, limit=st.integers(1, 4), follow=st.booleans())
            def page(self, dataset: int | None, limit: int, follow: bool) -> None:
                wanted = None if dataset is None else str(dataset % 2)
                before = self.next if follow else None
                self.next = self.both(lambda s: s.reports(dataset_id=wanted, limit=limit, before=before)).next

            @rule(numbers=st.lists(NUMBERS, max_size=3))
            def delete(self, numbers: list[int]) -> None:
                ids = [a_report(number).analysis_id for number in numbers]

                async def gone(store: ResultStore) -> list[str]:
                    return sorted(await store.delete_reports(ids))

                self.both(lambda store: store.stored(ids))
                self.both(gone)

            @rule(number=NUMBERS, title=st.none() | TEXT, version=NUMBERS, replaces=st.none() | NUMBERS)
            def annotate(self, number: int, title: str | None, version: int, replaces: int | None) -> None:
                new = an_annotation(number, str(version), title=title)
                known = None if replaces is None else str(replaces)
                self.both(lambda store: store.annotate(new, replaces=known))
                self.both(lambda store: store.annotation(new.analysis_id))

            @rule(search=st.none() | TEXT, named=st.lists(NUMBERS.map(str), max_size=2), limit=st.integers(1, 4))
            def summarise(self, search: str | None, named: list[str], limit: int) -> None:
                self.both(lambda store: store.summaries(search=search, named=named, limit=limit))

            @rule(number=NUMBERS, share=NUMBERS, at=TIMES, other=NUMBERS)
            def share(self, number: int, share: int, at: str, other: int) -> None:
                new = a_share(number, str(share), expires_at=at)
                self.both(lambda store: store.put_share(new))
                self.both(lambda store: store.shares(new.analysis_id))
                self.both(lambda store: store.delete_share(new.analysis_id, str(other)))
                self.both(lambda store: store.share_of(new.digest))

            @rule(number=NUMBERS, outcome=st.none() | TEXT)
            def look(self, number: int, outcome: str | None) -> None:
                self.both(lambda store: store.save(replace(a_report(number), outcome=outcome)))

                async def looks(store: ResultStore) -> set[Looks]:
                    return set(await store.looks("d"))

                self.both(looks)

            @rule(before=TIMES)
            def expire_shares(self, before: str) -> None:
                self.both(lambda store: store.expire_shares(before=before))

            @rule(dataset=NUMBERS, name=TEXT)
            def rename(self, dataset: int, name: str) -> None:
                self.both(lambda store: store.rename(str(dataset), name))
                self.both(lambda store: store.forget_history(str(dataset % 2)))

            @rule(before=TIMES, limit=st.integers(1, 4))
            def expired(self, before: str, limit: int) -> None:
                self.both(lambda store: store.expired_reports(before=before, limit=limit))

            @rule(
                number=st.none() | NUMBERS,
                status=st.none() | st.sampled_from(["running", "succeeded", "interrupted"]),
                limit=st.integers(1, 3),
                follow=st.booleans(),
            )
            def jobs(self, number: int | None, status: JobStatus | None, limit: int, follow: bool) -> None:
                before = self.next_jobs if follow else None
                page = self.both(lambda s: s.jobs(dataset_id="d", status=status, limit=limit, before=before))
                self.next_jobs = page.next
                if number is not None:
                    self.both(lambda store: store.delete_job(str(number)))

            @rule(dataset_id=st.sampled_from(["d", "e"]))
            def delete_jobs(self, dataset_id: str) -> None:
                self.both(lambda store: store.delete_jobs_of(dataset_id))

            @rule(anything=st.text(max_size=4))
            def look_for(self, anything: str) -> None:
                self.both(lambda store: store.load(anything))
                self.both(lambda store: store.dataset(anything))
                self.both(lambda store: store.job(anything))
                self.both(lambda store: store.forget(anything))
                self.both(lambda store: store.reports(dataset_id=anything))
                self.both(lambda store: store.reports(before=anything))

            @rule(number=NUMBERS, name=TEXT, at=TIMES, sample=st.booleans())
            def register(self, number: int, name: str, at: str, sample: bool) -> None:
                record = replace(a_dataset(str(number), created_at=at, sample=sample), name=name)
                self.both(lambda store: store.register(record))

            @rule(number=NUMBERS)
            def forget(self, number: int) -> None:
                self.both(lambda store: store.forget(str(number)))

            @rule(number=NUMBERS)
            def dataset(self, number: int) -> None:
                self.both(lambda store: store.dataset(str(number)))
                self.both(lambda store: store.datasets())

            @rule(
                number=NUMBERS,
                owner=st.sampled_from(["one", "two"]),
                status=st.sampled_from(["running", "succeeded", "failed", "cancelled", "interrupted"]),
                seconds=st.sampled_from([-100_000.0, -60.0, 3600.0]),
                finished_at=st.none() | st.sampled_from(["2026-01-01T06", "2026-01-02T06"]),
            )
            def job(self, number: int, owner: str, status: JobStatus, seconds: float, finished_at: str | None) -> None:
                record = replace(a_job(str(number)), status=status, finished_at=finished_at)
                self.both(lambda store: store.put_job(record, owner=owner, seconds=seconds))
                self.both(lambda store: store.job(str(number)))

            @rule(before=st.sampled_from(["2026-01-01", "2026-01-02", "2027"]), most=st.integers(0, 4), number=NUMBERS)
            def retire(self, before: str, most: int, number: int) -> None:
                self.both(lambda store: store.retire_jobs(ended_before=before, most=most, now="2026-01-01T12"))
                self.both(lambda store: store.job(str(number)))

            @rule(owner=st.sampled_from(["one", "two"]), renew=st.booleans(), number=NUMBERS)
            def owner(self, owner: str, renew: bool, number: int) -> None:
                if renew:
                    self.both(lambda store: store.renew_jobs(owner, seconds=3600))
                else:
                    self.both(lambda store: store.interrupt_jobs(owner, finished_at="now"))
                self.both(lambda store: store.job(str(number)))

            def teardown(self) -> None:
                portal.call(self.stack.aclose)

        run_state_machine_as_test(
            Machine,
            settings=settings(SEQUENCES, max_examples=15),
        )


def test_memory_redis_and_its_simulation_give_equal_answers_to_any_sequence(redis_server: Redis) -> None:
    with anyio.from_thread.start_blocking_portal("trio") as portal:

        class Machine(RuleBasedStateMachine):
            def __init__(self) -> None:
                super().__init__()
                self.stack = AsyncExitStack()

            @initialize()
            def open(self) -> None:
                with redis_server.client() as client:
                    client.flushall()

                async def enter() -> tuple[MemoryCache, RedisCache, RedisCache]:
                    server = CacheServer(rng=Random(1), now=time.time)
                    return (
                        a_cache(),
                        await self.stack.enter_async_context(in_default(RedisCache.open, redis_server.url)),
                        await self.stack.enter_async_context(in_default(open_cache, server, client="engine")),
                    )

                self.caches = portal.call(enter)

            def both[T](self, call: Callable[[ResultCache], Awaitable[T]]) -> None:
                async def ask() -> list[T]:
                    return [await call(cache) for cache in self.caches]

                memory, redis, simulated = portal.call(ask)
                assert memory == redis
                assert simulated == redis

            @rule(number=NUMBERS, primary=st.none() | TEXT, estimate=FLOATS, body=st.binary(max_size=50))
            def put(self, number: int, primary: str | None, estimate: float | None, body: bytes) -> None:
                report = replace(a_report(number, body=body), primary=primary, estimate=estimate)
                self.both(lambda cache: cache.put(report))

            @rule(number=NUMBERS)
            def get(self, number: int) -> None:
                self.both(lambda cache: cache.get(a_report(number).analysis_id))

            @rule(number=NUMBERS)
            def discard(self, number: int) -> None:
                self.both(lambda cache: cache.discard(a_report(number).analysis_id))

            @rule(numbers=st.lists(NUMBERS, max_size=3))
            def erase(self, numbers: list[int]) -> None:
                self.both(lambda cache: cache.erase([a_report(number).analysis_id for number in numbers]))

            @rule(number=NUMBERS, token=st.sampled_from(["one", "two"]), claim=st.booleans())
            def turn(self, number: int, token: str, claim: bool) -> None:
                if claim:
                    self.both(lambda cache: cache.claim(str(number), token=token, seconds=600))
                else:
                    self.both(lambda cache: cache.release(str(number), token=token))

            def teardown(self) -> None:
                portal.call(self.stack.aclose)

        run_state_machine_as_test(
            Machine,
            settings=settings(SEQUENCES, max_examples=20),
        )
