"""Several engines on one cache: who computes, who waits, and who takes over."""

import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from cqox.analysis.results import Results
from cqox.analysis.stores import generation_of
from cqox.errors import StorageFull, StoreUnavailable
from cqox.storage import MemoryCache, SqliteStore, StoredReport
from tests.storage.bound import a_cache, in_default
from tests.storage.records import a_report
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.anyio
ONE = a_report(1)
KEY = ONE.analysis_id


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with in_default(SqliteStore.open, tmp_path / "results.sqlite") as opened:
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
    """A store that can be made unavailable."""

    away = False

    async def stored(self, analysis_ids: Sequence[str]) -> frozenset[str]:
        if self.away:
            raise StoreUnavailable("away")
        return await super().stored(analysis_ids)

    async def delete_reports(self, analysis_ids: Sequence[str]) -> Sequence[str]:
        if self.away:
            raise StoreUnavailable("away")
        return await super().delete_reports(analysis_ids)

    async def save(self, report: StoredReport, *, document: bytes | None = None) -> bool:
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
    cache, asked, computed = a_cache(), list[int](), list[int]()

    async def compute() -> StoredReport:
        computed.append(1)
        await until(lambda: len(asked) == 8)
        return ONE

    async def ask() -> None:
        asked.append(1)
        found = await Results(store, cache).once(KEY, compute)
        assert (found.report, found.stored) == (ONE, True)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(ask)
    assert computed == [1]


async def test_where_the_one_that_computes_has_died_another_takes_over_when_its_turn_ends(store: SqliteStore) -> None:
    cache = a_cache()
    # An engine that was killed neither prolongs its turn nor gives it back.
    assert await store.claim_turn(KEY, token="dead", seconds=0.2) is True

    async def compute() -> StoredReport:
        return ONE

    with anyio.fail_after(PATIENCE_SECONDS):
        found = await Results(store, cache).once(KEY, compute)
    assert found.report == ONE


async def test_a_computation_that_fails_or_is_cancelled_gives_its_turn_back(store: SqliteStore) -> None:
    cache = a_cache()

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

    async with in_default(Distant.open, tmp_path / "results.sqlite") as store:
        store.claimed, store.answer = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(Results(store, a_cache()).once, KEY, compute)
            await store.claimed.wait()
            group.cancel_scope.cancel()
            store.answer.set()
        assert await store.claim_turn(KEY, token="next", seconds=1) is True


async def test_without_a_store_everybody_computes_at_once_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with in_default(Away.open, tmp_path / "results.sqlite") as store:
        store.away = True

        async def compute() -> StoredReport:
            return ONE

        with anyio.fail_after(PATIENCE_SECONDS):
            assert (await Results(store, a_cache()).once(KEY, compute)).stored is False
    assert any("is computed without a lease" in message for message in caplog.messages)


async def test_a_report_that_could_not_be_stored_is_answered_and_stored_when_it_is_asked_for_again(
    tmp_path: Path,
) -> None:
    async with in_default(Away.open, tmp_path / "results.sqlite") as store:
        results = Results(store, cache := a_cache())

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
    async with in_default(Away.open, tmp_path / "r.sqlite") as store:
        results = Results(store, a_cache())
        store.away = True
        for number in range(50):
            assert await results.find(a_report(number).analysis_id) is None
            assert not await results.keep(a_report(number))
        store.away = False
        assert await results.find(a_report(99).analysis_id) is None
        assert await results.keep(a_report(99))
    said = [re.sub(r"in \d+\.\d s", "in a while", message.partition(":")[0]) for message in caplog.messages]
    assert said == [
        f"The result store was asked for {a_report(0).analysis_id} and did not answer",
        f"The analysis {a_report(0).analysis_id} could not be stored",
        "The result store did not answer 50 times in a while; it has recovered.",
        "An analysis could not be stored 50 times in a while; it has recovered.",
    ]


async def test_a_report_that_could_not_be_stored_is_stored_once_the_store_is_back_though_nobody_asks(
    tmp_path: Path,
) -> None:
    async with in_default(Away.open, tmp_path / "results.sqlite") as store:
        results = Results(store, a_cache())
        store.away = True
        assert not await results.keep(ONE)
        await results.settle()
        store.away = False
        assert await store.load(KEY) is None
        await results.settle()
        assert await store.load(KEY) == ONE


async def test_an_erased_report_is_nowhere_and_is_computed_again(store: SqliteStore) -> None:
    results, computed = Results(store, a_cache()), list[int]()

    async def compute() -> StoredReport:
        computed.append(1)
        return ONE

    await results.once(KEY, compute)
    assert await results.load(KEY) is not None
    assert await results.erase([KEY, "nothing"]) == {KEY}
    assert await results.erase([KEY]) == frozenset()
    assert await results.load(KEY) is None
    await results.once(KEY, compute)
    assert computed == [1, 1]


async def test_a_report_that_no_store_has_taken_is_erased_as_well_and_not_stored_later(tmp_path: Path) -> None:
    async with in_default(Away.open, tmp_path / "r.sqlite") as store:
        results = Results(store, a_cache())
        store.away = True
        assert await results.keep(ONE) is False
        with pytest.raises(StoreUnavailable):
            await results.erase([KEY])
        store.away = False
        assert await results.erase([KEY]) == {KEY}
        assert await results.load(KEY) is None
        assert results.unstored_bytes() == 0


class Unerasable(MemoryCache):
    """A shared cache that cannot be reached."""

    async def erase(self, analysis_ids: Sequence[str]) -> None:
        raise StoreUnavailable("away")


async def test_nothing_is_deleted_where_a_cache_would_go_on_answering_it(store: SqliteStore) -> None:
    results = Results(store, Unerasable().within("default"))
    await results.keep(ONE)
    with pytest.raises(StoreUnavailable):
        await results.erase([KEY])
    assert await store.load(KEY) == ONE


class Delayed(SqliteStore):
    """A store whose answers are on their way for a while."""

    async def load(self, analysis_id: str) -> StoredReport | None:
        found = await super().load(analysis_id)
        self.loaded.set()
        await self.go_on.wait()
        return found

    loaded: anyio.Event
    go_on: anyio.Event


async def test_a_report_that_is_deleted_while_another_engine_reads_it_is_not_held_by_a_cache(tmp_path: Path) -> None:
    cache = a_cache()
    async with (
        in_default(SqliteStore.open, tmp_path / "r.sqlite") as store,
        in_default(Delayed.open, tmp_path / "r.sqlite") as slow,
    ):
        slow.loaded, slow.go_on = anyio.Event(), anyio.Event()
        await store.save(ONE)
        async with anyio.create_task_group() as group:
            group.start_soon(Results(slow, cache).load, KEY)
            await slow.loaded.wait()
            assert await Results(store, cache).erase([KEY]) == {KEY}
            slow.go_on.set()
        assert await cache.get(KEY) is None
        assert await Results(store, cache).load(KEY) is None


async def test_engines_on_one_file_do_not_answer_from_memory_what_another_one_deleted(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    async with in_default(SqliteStore.open, path) as one, in_default(SqliteStore.open, path) as other:
        pair = [Results(store, a_cache(epoch=lambda store=store: generation_of(store))) for store in (one, other)]
        for turn in range(3):
            await pair[0].keep(ONE)
            for results in pair:
                assert await results.load(KEY) is not None
            await pair[turn % 2].erase([KEY])
            assert [await results.load(KEY) for results in pair] == [None, None]


async def test_an_engine_asks_a_store_on_a_server_whether_what_it_holds_was_deleted(tmp_path: Path) -> None:
    async with in_default(Away.open, tmp_path / "r.sqlite") as store:
        one, other = (Results(store, a_cache(), confirm=True) for _ in range(2))
        await one.keep(ONE)
        for results in (one, other):
            assert await results.load(KEY) is not None
        store.away = True
        assert await other.load(KEY) is not None
        store.away = False
        other._trusted_until = 0.0
        await one.erase([KEY])
        assert await other.load(KEY) is None


async def test_a_report_that_would_take_the_reserve_of_the_disk_is_answered_and_not_stored(store: SqliteStore) -> None:
    full = True

    async def room() -> None:
        if full:
            raise StorageFull("nearly full")

    results = Results(store, a_cache(), room=room)
    assert await results.keep(ONE) is False
    assert await store.load(KEY) is None
    full = False
    found = await results.load(KEY)
    assert found is not None
    assert found.stored


class Holding(Away):
    """A store that takes its time to save."""

    saving: anyio.Event
    go_on: anyio.Event

    async def save(self, report: StoredReport, *, document: bytes | None = None) -> bool:
        if not self.away:
            self.saving.set()
            await self.go_on.wait()
        return await super().save(report)


@pytest.mark.parametrize("offered_by", ["the engine", "a request"])
async def test_a_report_that_is_erased_while_it_is_stored_at_last_is_not_stored(
    tmp_path: Path, offered_by: str
) -> None:
    async with in_default(Holding.open, tmp_path / "r.sqlite") as store:
        store.saving, store.go_on, store.away = anyio.Event(), anyio.Event(), True
        results = Results(store, a_cache())
        assert await results.keep(ONE) is False
        store.away = False
        async with anyio.create_task_group() as group:
            if offered_by == "the engine":
                group.start_soon(results.settle)
            else:
                group.start_soon(results.load, KEY)
            await store.saving.wait()
            assert await results.erase([KEY]) == {KEY}
            store.go_on.set()
        await results.settle()
        assert await store.load(KEY) is None
        assert await results.load(KEY) is None
        assert results.unstored_bytes() == 0


async def test_what_no_store_has_taken_is_said_at_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with in_default(Away.open, tmp_path / "r.sqlite") as store:
        results = Results(store, a_cache())
        store.away = True
        results.log_unstored()
        assert "lost with this engine" not in caplog.text
        assert await results.keep(ONE) is False
        results.log_unstored()
        assert "could not be stored and are lost with this engine: 1." in caplog.text
