"""Separation of tenants: no method of any backend shows or changes the data of another one.

Every method of the contracts is called here, so that the statements that they execute can be read as well.
"""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import get_protocol_members

import pytest

from cqox.dashboards.views import VIEWS, ViewQuery
from cqox.errors import StoreUnavailable
from cqox.storage import (
    DEFAULT_TENANT,
    AuditFilter,
    MemoryCache,
    ResultCache,
    ResultDatabase,
    ResultStore,
    Reuse,
    SqliteStore,
)
from cqox.storage.history import Annotation
from cqox.storage.postgres import PostgresStore
from cqox.storage.postgres.connections import Connections
from cqox.storage.redis import RedisCache
from cqox.storage.sqlite_schema import TENANT_TABLES
from services.simulation.stores.cache import open_cache
from services.simulation.stores.cache_server import CacheServer
from tests.storage.conftest import Opening
from tests.storage.records import (
    a_dataset,
    a_job,
    a_report,
    a_share,
    an_annotation,
    an_ended_job,
    an_erasure,
    an_event,
    some_facts,
)

pytestmark = pytest.mark.anyio

ONE, TWO = a_report(1).analysis_id, a_report(2).analysis_id
PAIRS = [(DEFAULT_TENANT, "acme"), ("acme", DEFAULT_TENANT), ("a", "a-b")]


@pytest.fixture
def anyio_backend() -> str:
    """Which event loop it is makes no difference here; the suites of the contracts run on both."""
    return "trio"


type Ask = Callable[[ResultStore], Awaitable[object]]


async def filled(store: ResultStore) -> None:
    for number in (1, 2):
        await store.save(a_report(number))
    await store.register(a_dataset("d"))
    await store.annotate(an_annotation(1, "v", title="mine"), replaces=None)
    await store.put_share(a_share(1, "s"))
    await store.put_job(replace(an_ended_job("done", "2026-01-02"), analysis_id=ONE), owner="one", seconds=60)
    await store.put_job(a_job("runs"), owner="one", seconds=60)
    assert await store.put_facts(some_facts(1))
    await store.count_reuses([Reuse(analysis_id=ONE, day_second=0, shared=1)])
    assert await store.claim_turn("k", token="one", seconds=600)
    await store.append_audit([an_event(1, store._tenant)])  # type: ignore[attr-defined]
    await store.put_erasure(an_erasure())


async def shown(store: ResultStore, view: str) -> list[object]:
    """Return all rows of a view."""
    columns = tuple(name for name in VIEWS[view] if name != "tenant_id")
    return list((await store.view_rows(ViewQuery(view=view, columns=columns), start=0, end=10**11)).rows)


async def snapshot(store: ResultStore) -> list[object]:
    """Return everything that a tenant has."""
    return [
        [await store.load(key) for key in (ONE, TWO)],
        [await store.annotation(key) for key in (ONE, TWO)],
        list(await store.shares(ONE)),
        list(await store.datasets()),
        [await store.job(name) for name in ("done", "runs")],
        [each.analysis_id for each in (await store.summaries()).items],
        [(each.outcome, each.treatment, each.analyses) for each in await store.looks("d")],
        [each.job_id for each in (await store.jobs()).items],
        await store.claim_turn("k", token="another", seconds=600),
        list((await store.audit()).items),
        list(await store.open_erasures(since="2026")),
        [await shown(store, view) for view in VIEWS],
    ]


def asked_of(text: Callable[[str], str]) -> Mapping[str, Ask]:
    """Return a call of each method that can find or change a row, with ids as a client could write them."""
    key, dataset, job, share = text(ONE), text("d"), text("done"), text("s")

    async def page(found: Awaitable[object]) -> object:
        return list((await found).items)  # type: ignore[attr-defined]

    async def listed(found: Awaitable[object]) -> object:
        return list(await found)  # type: ignore[call-overload]

    mine: Annotation = replace(an_annotation(1, "w", title="stolen"), analysis_id=key)
    return {
        "load": lambda store: store.load(key),
        "reports": lambda store: page(store.reports(dataset_id=dataset)),
        "stored": lambda store: listed(store.stored([key])),
        "delete_reports": lambda store: listed(store.delete_reports([key, text(TWO)])),
        "expired_reports": lambda store: listed(store.expired_reports(before="2099", limit=9)),
        "annotation": lambda store: store.annotation(key),
        "annotate": lambda store: store.annotate(mine, replaces="v"),
        "forget_history": lambda store: store.forget_history(dataset),
        "summaries": lambda store: page(store.summaries(search="mine", named=[dataset])),
        "looks": lambda store: listed(store.looks(dataset)),
        "put_facts": lambda store: store.put_facts(replace(some_facts(1, verdict="HOLD"), analysis_id=key)),
        "without_facts": lambda store: page(store.without_facts(limit=9, before="2099|a")),
        "count_reuses": lambda store: store.count_reuses([Reuse(analysis_id=key, day_second=0, cached=1)]),
        "view_rows": lambda store: shown(store, "dashboard_analyses"),
        "put_share": lambda store: store.put_share(replace(a_share(1, share), analysis_id=key, digest="1" * 64)),
        "shares": lambda store: listed(store.shares(key)),
        "share_of": lambda store: store.share_of(a_share(1, "s").digest),
        "delete_share": lambda store: store.delete_share(key, share),
        "expire_shares": lambda store: store.expire_shares(before="2099"),
        "dataset": lambda store: store.dataset(dataset),
        "datasets": lambda store: listed(store.datasets()),
        "rename": lambda store: store.rename(dataset, "stolen"),
        "forget": lambda store: store.forget(dataset),
        "interrupt_job": lambda store: store.interrupt_job(text("runs"), "one", finished_at="2026"),
        "retire_jobs": lambda store: store.retire_jobs(ended_before="2099", most=0, now="2099"),
        "job": lambda store: store.job(job),
        "audit": lambda store: page(store.audit(wanted=AuditFilter(object="dataset:d"))),
        "audit_after": lambda store: listed(store.audit_after(0, limit=9)),
        "audit_head": lambda store: store.audit_head(),
        "erasure": lambda store: store.erasure(text(an_erasure().erasure_id)),
        "open_erasures": lambda store: listed(store.open_erasures(since="2026")),
        "erase_everything": lambda store: store.erase_everything(),
        "release_turn": lambda store: store.release_turn(text("k"), token="one"),
        "jobs": lambda store: page(store.jobs()),
        "delete_job": lambda store: store.delete_job(job),
        "delete_jobs_of": lambda store: store.delete_jobs_of(dataset),
        "reseal": lambda store: store.reseal(
            replace(a_dataset("d"), dataset_id=dataset), replace(a_dataset("d"), name="stolen")
        ),
    }


INSERTS: Mapping[str, Ask] = {
    "save": lambda store: store.save(a_report(1, body=b'{"other":1}')),
    "register": lambda store: store.register(replace(a_dataset("d", sample=True), name="other.csv")),
    "put_job": lambda store: store.put_job(an_ended_job("runs", "2026-01-03"), owner="two", seconds=60),
    "claim_turn": lambda store: store.claim_turn("k", token="two", seconds=600),
    "append_audit": lambda store: store.append_audit([an_event(2, store._tenant)]),  # type: ignore[attr-defined]
    "put_erasure": lambda store: store.put_erasure(an_erasure(receipt=b'{"other":1}')),
}
"""Insertions with ids that the other tenant has."""


@asynccontextmanager
async def two(open_store: Opening, one: str, other: str) -> AsyncIterator[tuple[ResultStore, ResultStore]]:
    async with open_store() as store:
        yield store.within(one), store.within(other)


def test_every_method_of_the_contract_is_called_here() -> None:
    assert {*asked_of(str), *INSERTS} == get_protocol_members(ResultStore)


@pytest.mark.parametrize(("one", "other"), PAIRS)
async def test_no_method_shows_or_changes_what_another_tenant_has(open_store: Opening, one: str, other: str) -> None:
    async with two(open_store, one, other) as (owner, stranger):
        await filled(owner)
        before = await snapshot(owner)
        for name, ask in asked_of(str).items():
            found = await ask(stranger)
            assert found in (None, False, 0, []), name
            assert await snapshot(owner) == before, name
        for name, insert in INSERTS.items():
            found = await insert(stranger)
            assert found is not False, name
            assert await snapshot(owner) == before, name
        # Equal ids of both: each still has its own, and nothing that is done to one reaches the other.
        await stranger.annotate(an_annotation(1, "w", title="other"), replaces=None)
        await stranger.put_share(replace(a_share(1, "s"), digest="2" * 64))
        assert await snapshot(owner) == before
        theirs = await snapshot(stranger)
        for name, ask in asked_of(str).items():
            await ask(stranger)
            assert await snapshot(owner) == before, name
        assert await snapshot(stranger) != theirs


@pytest.mark.parametrize(("one", "other"), PAIRS[1:])
async def test_an_id_that_is_written_with_its_tenant_finds_nothing(open_store: Opening, one: str, other: str) -> None:
    async with two(open_store, one, other) as (owner, stranger):
        await filled(owner)
        before = await snapshot(owner)
        for written in (f"{one}/", f"../{one}/", f"{other}/../{one}/"):
            for name, ask in asked_of(lambda text, written=written: written + text).items():
                assert await ask(stranger) in (None, False, 0, []), name
        for insert in (
            lambda: stranger.save(replace(a_report(1), analysis_id=f"{one}/{ONE}")),
            lambda: stranger.register(a_dataset(f"{one}/d")),
            lambda: stranger.put_job(an_ended_job(f"{one}/runs", "2026"), owner="two", seconds=60),
            lambda: stranger.claim_turn(f"{one}/k", token="two", seconds=60),
        ):
            if other == DEFAULT_TENANT:
                # Its ids are stored as they are, and none may look like another tenant's.
                with pytest.raises(StoreUnavailable):
                    await insert()
            else:
                await insert()
        assert await snapshot(owner) == before


async def test_every_page_of_a_tenant_is_complete_among_rows_of_others(open_store: Opening) -> None:
    async with two(open_store, "acme", "other") as (one, other):
        for number in range(6):
            await (one, other)[number % 2].save(a_report(number))
            await (one, other)[number % 2].put_job(a_job(f"j{number}"), owner="o", seconds=60)
        for store, numbers in ((one, [4, 2, 0]), (other, [5, 3, 1])):
            for listing in (store.reports, store.summaries):
                seen, before = list[int](), None
                while True:
                    page = await listing(limit=2, before=before)
                    seen += [int(each.analysis_id, 16) for each in page.items]
                    if (before := page.next) is None:
                        break
                assert seen == numbers
            assert sorted(each.job_id for each in (await store.jobs()).items) == sorted(f"j{n}" for n in numbers)


async def test_leases_are_renewed_and_ended_for_every_tenant_of_a_dead_engine(open_store: Opening) -> None:
    async with open_store() as store:
        for name in ("acme", "other"):
            await store.within(name).put_job(a_job("j"), owner="one", seconds=-60)
            await store.within(name).put_job(a_job("k"), owner="two", seconds=60)
        assert await store.renew_jobs("one", seconds=60) == 2
        assert await store.interrupt_jobs("one", finished_at="2026") == 2
        for name in ("acme", "other"):
            jobs = [await store.within(name).job(job) for job in ("j", "k")]
            assert [job.status for job in jobs] == ["interrupted", "running"]  # type: ignore[union-attr]


async def test_the_tenant_of_a_share_link_is_found_by_its_digest(open_store: Opening) -> None:
    async with open_store() as store:
        for number, name in enumerate((DEFAULT_TENANT, "acme")):
            await store.within(name).save(a_report(1))
            await store.within(name).put_share(replace(a_share(1, "s"), digest=str(number) * 64))
        assert [await store.tenant_of_share(digit * 64) for digit in "012"] == [DEFAULT_TENANT, "acme", None]


async def test_each_tenant_keeps_its_number_of_ended_jobs(open_store: Opening) -> None:
    async with two(open_store, "acme", "other") as (one, other):
        for number in range(4):
            for store in (one, other):
                await store.put_job(an_ended_job(f"j{number}", f"2026-01-0{number + 1}"), owner="o", seconds=60)
        assert await one.retire_jobs(ended_before="2026", most=3, now="2026") == 1
        assert [len((await store.jobs()).items) for store in (one, other)] == [3, 4]


async def test_a_store_without_a_tenant_answers_for_none(open_store: Opening) -> None:
    async with open_store() as store:
        await filled(store)
        store._bound = None  # type: ignore[attr-defined]
        for name, ask in {**asked_of(str), **INSERTS}.items():
            with pytest.raises(TypeError, match="within"):
                await ask(store)
            assert name


# ---- the statements

_TABLES = "|".join(TENANT_TABLES)
_TOUCHED = re.compile(rf"\b(?:FROM|INTO|UPDATE|JOIN)\s+({_TABLES})\b")
EVERY_TENANT = "/* every tenant */"


class Recorded:
    """A connection to PostgreSQL that keeps the text of what it executes."""

    def __init__(self, connection: object, texts: list[str]) -> None:
        self._connection = connection
        self._texts = texts

    def execute(self, query: object, *given: object, **options: object) -> object:
        self._texts.append(str(query))
        return self._connection.execute(query, *given, **options)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


async def executed(store: ResultDatabase, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the statements of every method, once each is called with rows that it finds, and without."""
    texts = list[str]()
    mine = store.within("acme")
    await filled(mine)
    if isinstance(store, SqliteStore):
        await store._call(lambda connection: connection.set_trace_callback(texts.append))
    else:
        run = Connections.run

        async def recorded(self: Connections, work: Callable[[object], object], *, scope: str) -> object:
            return await run(self, lambda connection: work(Recorded(connection, texts)), scope=scope)  # type: ignore[arg-type,return-value]

        monkeypatch.setattr(Connections, "run", recorded)
    for page in (mine.reports, mine.summaries, mine.jobs):
        await page(dataset_id="d", before="2026|a")  # type: ignore[operator]
    await mine.save(a_report(1, body=b"{}"))
    for ask in (*asked_of(str).values(), *INSERTS.values(), *asked_of(str).values()):
        await ask(mine)
    await mine.annotate(an_annotation(1, "x"), replaces=None)
    await mine.save(replace(a_report(5), digest="0" * 32))
    await mine.save(a_report(5))
    await store.renew_jobs("one", seconds=60)
    await store.interrupt_jobs("one", finished_at="2026")
    await store.tenant_of_share("0" * 64)
    return [" ".join(text.split()) for text in texts]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.xdist_group("servers"))])
async def database(request: pytest.FixtureRequest, tmp_path: object) -> AsyncIterator[ResultDatabase]:
    if request.param == "sqlite":
        async with SqliteStore.open(tmp_path / "results.sqlite", connections=1) as sqlite:  # type: ignore[operator]
            yield sqlite
    else:
        async with PostgresStore.open(request.getfixturevalue("postgres_server").fresh()) as postgres:
            yield postgres


async def test_every_statement_on_a_table_of_tenants_names_the_tenant(
    database: ResultDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = await executed(database, monkeypatch)
    touching = [text for text in statements if _TOUCHED.search(text)]
    assert {name for text in touching for name in _TOUCHED.findall(text)} == set(TENANT_TABLES)
    for text in touching:
        named = text.count("tenant_id")
        assert named >= len(_TOUCHED.findall(text)) or text.startswith(EVERY_TENANT), text
    for_all = {re.sub(r"\s*=.*", "", text) for text in touching if text.startswith(EVERY_TENANT)}
    assert for_all == {f"{EVERY_TENANT} UPDATE jobs SET renewed_until", f"{EVERY_TENANT} UPDATE jobs SET status"}


# ---- the caches


@pytest.fixture(params=["memory", "simulated", pytest.param("redis", marks=pytest.mark.xdist_group("servers"))])
async def caches(request: pytest.FixtureRequest) -> AsyncIterator[MemoryCache | RedisCache]:
    if request.param == "memory":
        yield MemoryCache()
    elif request.param == "simulated":
        async with open_cache(CacheServer(rng=Random(1), now=time.time), client="engine") as simulated:
            yield simulated
    else:
        async with RedisCache.open(request.getfixturevalue("redis_server").url) as opened:
            yield opened


CACHE_CALLS: Mapping[str, Callable[[ResultCache], Awaitable[object]]] = {
    "get": lambda cache: cache.get(ONE),
    "put": lambda cache: cache.put(a_report(1, body=b'{"other":1}')),
    "discard": lambda cache: cache.discard(ONE),
    "erase": lambda cache: cache.erase([ONE]),
    "claim": lambda cache: cache.claim("k", token="two", seconds=60),
    "release": lambda cache: cache.release("k", token="one"),
}


@pytest.mark.parametrize(("one", "other"), PAIRS)
async def test_no_method_of_a_cache_shows_or_changes_what_another_tenant_has(
    caches: MemoryCache | RedisCache, one: str, other: str
) -> None:
    assert set(CACHE_CALLS) == get_protocol_members(ResultCache)
    owner, stranger = caches.within(one), caches.within(other)
    await owner.put(a_report(1))
    assert await owner.claim("k", token="one", seconds=60)
    for name, call in CACHE_CALLS.items():
        found = await call(stranger)
        assert found in (None, True), name
        assert await owner.get(ONE) == a_report(1), name
        assert await owner.claim("k", token="three", seconds=60) is False, name
    for written in (f"{one}/{ONE}", f"{one}:report:{ONE}", f":report:{ONE}"):
        assert await stranger.get(written) is None
    with pytest.raises(TypeError, match="within"):
        await caches.get(ONE)
