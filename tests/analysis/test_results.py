"""Several engines on one cache: who computes, who waits, and who takes over."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from cqox.analysis.results import Results
from cqox.errors import StoreUnavailable
from cqox.storage import MemoryCache, SqliteStore, StoredReport
from tests.storage.records import a_report

pytestmark = pytest.mark.anyio
ONE = a_report(1)
KEY = ONE.analysis_id


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "results.sqlite") as opened:
        yield opened


class Distant(SqliteStore):
    """A store whose answer comes late; who is cancelled meanwhile waits for it, then leaves."""

    claimed: anyio.Event
    answer: anyio.Event

    async def claim_turn(self, key: str, *, token: str, seconds: float) -> bool:
        held = await super().claim_turn(key, token=token, seconds=seconds)
        self.claimed.set()
        with anyio.CancelScope(shield=True):
            await self.answer.wait()
        await anyio.lowlevel.checkpoint()
        return held


class Away(SqliteStore):
    """A store that can be told to be away."""

    away = False

    async def save(self, report: StoredReport) -> bool:
        if self.away:
            raise StoreUnavailable("away")
        return await super().save(report)

    async def load(self, analysis_id: str) -> StoredReport | None:
        if self.away:
            raise StoreUnavailable("away")
        return await super().load(analysis_id)

    async def claim_turn(self, key: str, *, token: str, seconds: float) -> bool:
        if self.away:
            raise StoreUnavailable("away")
        return await super().claim_turn(key, token=token, seconds=seconds)


async def test_of_many_engines_that_are_asked_the_same_at_once_one_computes(store: SqliteStore) -> None:
    cache, computed = MemoryCache(), list[int]()

    async def compute() -> StoredReport:
        computed.append(1)
        await anyio.sleep(0.05)
        return ONE

    async def ask() -> None:
        found = await Results(store, cache).once(KEY, compute)
        assert (found.report, found.stored) == (ONE, True)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(ask)
    assert computed == [1]


async def test_where_the_one_that_computes_has_died_another_takes_over_when_its_turn_ends(store: SqliteStore) -> None:
    cache = MemoryCache()
    # An engine that was killed neither prolongs its turn nor gives it back.
    assert await store.claim_turn(KEY, token="dead", seconds=0.2) is True

    async def compute() -> StoredReport:
        return ONE

    with anyio.fail_after(5):
        found = await Results(store, cache).once(KEY, compute)
    assert found.report == ONE


async def test_a_computation_that_fails_or_is_cancelled_gives_its_turn_back(store: SqliteStore) -> None:
    cache = MemoryCache()

    async def fail() -> StoredReport:
        raise KeyError("mine")

    async def hang() -> StoredReport:
        await anyio.sleep_forever()
        raise AssertionError

    with pytest.raises(KeyError):
        await Results(store, cache).once(KEY, fail)
    with anyio.move_on_after(0.05):
        await Results(store, cache).once(KEY, hang)
    assert await store.claim_turn(KEY, token="next", seconds=1) is True


async def test_a_cancellation_in_the_middle_of_a_claim_gives_the_turn_back(tmp_path: Path) -> None:
    async def compute() -> StoredReport:
        raise AssertionError

    async with Distant.open(tmp_path / "results.sqlite") as store:
        store.claimed, store.answer = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(Results(store, MemoryCache()).once, KEY, compute)
            await store.claimed.wait()
            group.cancel_scope.cancel()
            store.answer.set()
        assert await store.claim_turn(KEY, token="next", seconds=1) is True


class Slow(MemoryCache):
    """A cache that is always too late: it holds nothing, and everybody has every claim."""

    async def get(self, analysis_id: str) -> StoredReport | None:
        await anyio.sleep(0.05)
        return None

    async def claim(self, analysis_id: str, *, token: str, seconds: float) -> bool:
        await anyio.sleep(0.05)
        return True


async def test_one_engine_computes_however_slow_the_cache_is(store: SqliteStore) -> None:
    computed = list[int]()

    async def compute() -> StoredReport:
        computed.append(1)
        await anyio.sleep(0.1)
        return ONE

    async def ask(number: int) -> None:
        await anyio.sleep(number / 40)
        results = Results(store, Slow())
        # As a request does: the others may have finished between this look and the claim.
        if await results.find(KEY) is None:
            await anyio.sleep(0.05)
            assert (await results.once(KEY, compute)).report == ONE

    async with anyio.create_task_group() as group:
        for number in range(12):
            group.start_soon(ask, number)
    assert computed == [1]


async def test_without_a_store_everybody_computes_at_once_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Away.open(tmp_path / "results.sqlite") as store:
        store.away = True

        async def compute() -> StoredReport:
            return ONE

        with anyio.fail_after(5):
            assert (await Results(store, MemoryCache()).once(KEY, compute)).stored is False
    assert any("is computed without a turn" in message for message in caplog.messages)


async def test_a_report_that_could_not_be_stored_is_answered_and_stored_when_it_is_asked_for_again(
    tmp_path: Path,
) -> None:
    async with Away.open(tmp_path / "results.sqlite") as store:
        results = Results(store, cache := MemoryCache())

        async def compute() -> StoredReport:
            return ONE

        store.away = True
        assert (await results.once(KEY, compute)).stored is False
        again = await results.find(KEY)
        assert again is not None
        assert (again.report, again.stored) == (ONE, False)
        assert await cache.get(KEY) is None
        await results.settle()
        assert await cache.get(KEY) is None
        store.away = False
        found = await results.load(KEY)
        assert found is not None
        assert found.stored is True
        assert await store.load(KEY) == ONE


async def test_an_outage_of_the_store_writes_a_few_lines_however_many_analyses_it_meets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with Away.open(tmp_path / "r.sqlite") as store:
        results = Results(store, MemoryCache())
        store.away = True
        for number in range(50):
            assert await results.find(a_report(number).analysis_id) is None
            assert not await results.keep(a_report(number))
        store.away = False
        assert await results.find(a_report(99).analysis_id) is None
        assert await results.keep(a_report(99))
    assert [message.partition(":")[0] for message in caplog.messages] == [
        f"The result store was asked for {a_report(0).analysis_id} and did not answer",
        f"The analysis {a_report(0).analysis_id} could not be stored",
        "The result store did not answer 50 times in 0.0 s, and that is over.",
        "An analysis could not be stored 50 times in 0.0 s, and that is over.",
    ]


async def test_a_report_that_could_not_be_stored_is_stored_once_the_store_is_back_though_nobody_asks(
    tmp_path: Path,
) -> None:
    async with Away.open(tmp_path / "results.sqlite") as store:
        results = Results(store, MemoryCache())
        store.away = True
        assert not await results.keep(ONE)
        await results.settle()
        store.away = False
        assert await store.load(KEY) is None
        await results.settle()
        assert await store.load(KEY) == ONE
