"""Facts of stored reports that have none."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from cqox.analysis.missing_facts import MissingFacts
from cqox.dashboards.views import ViewQuery
from cqox.errors import StoreUnavailable
from cqox.storage import Page, ResultStore, SqliteStore
from tests.storage.bound import in_default
from tests.storage.records import a_report

pytestmark = pytest.mark.anyio
VERDICTS = ViewQuery(view="dashboard_analyses", columns=("analysis_id",), order=("created_second",))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with in_default(SqliteStore.open, tmp_path / "r.sqlite") as opened:
        yield opened


async def with_facts(store: ResultStore) -> list[str]:
    rows = (await store.view_rows(VERDICTS, start=0, end=10**10)).rows
    return [str(row[0]) for row in rows]


async def test_all_reports_have_facts_in_the_end_and_one_that_is_damaged_stops_none(store: SqliteStore) -> None:
    for number in range(60):
        at = f"2026-01-01T00:{number:02d}:00.000000+00:00"
        report = a_report(number, created_at=at)
        await store.save(replace(report, digest="0" * 32) if number == 58 else report)
    missing = MissingFacts(store)
    await missing.fill()
    assert await with_facts(store) == [a_report(number).analysis_id for number in range(10, 60) if number != 58]
    await missing.fill()
    assert await with_facts(store) == [a_report(number).analysis_id for number in range(60) if number != 58]


async def test_a_report_without_facts_is_found_an_hour_after_the_last_look(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing, now = MissingFacts(store), anyio.current_time()
    await missing.fill()
    await store.save(a_report(1))
    await missing.fill()
    assert await with_facts(store) == []
    monkeypatch.setattr(anyio, "current_time", lambda: now + 3_700)
    await missing.fill()
    assert await with_facts(store) == [a_report(1).analysis_id]


async def test_a_store_that_is_away_is_asked_again_a_minute_later(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.save(a_report(1))
    calls = list[str | None]()

    async def away(*, limit: int, before: str | None = None) -> Page[str]:
        calls.append(before)
        raise StoreUnavailable("away")

    missing, now = MissingFacts(store), anyio.current_time()
    with monkeypatch.context() as changed:
        changed.setattr(store, "without_facts", away)
        for _ in range(3):
            await missing.fill()
    assert calls == [None]
    monkeypatch.setattr(anyio, "current_time", lambda: now + 61)
    await missing.fill()
    assert await with_facts(store) == [a_report(1).analysis_id]
