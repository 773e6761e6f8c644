"""Counts of answers that needed no computation."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from cqox.analysis.reuse_counts import ReuseCounts
from cqox.dashboards.views import ViewQuery
from cqox.errors import StoreUnavailable
from cqox.storage import Reuse, SqliteStore
from tests.storage.bound import in_default
from tests.storage.records import a_report, some_facts

pytestmark = pytest.mark.anyio
COUNTS = ViewQuery(view="dashboard_reuses", columns=("analysis_id", "cached", "shared"))
ONE = a_report(1).analysis_id


async def test_counts_are_written_once_and_kept_while_the_store_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_default(SqliteStore.open, tmp_path / "r.sqlite") as store:
        await store.save(a_report(1), facts=some_facts(1))
        counts = ReuseCounts(store)
        counts.add(ONE, cached=1)

        async def away(reuses: Sequence[Reuse]) -> None:
            counts.add(ONE, shared=1)
            raise StoreUnavailable("away")

        with monkeypatch.context() as changed:
            changed.setattr(store, "count_reuses", away)
            await counts.write()
        counts.add(ONE, cached=1)
        for _ in range(2):
            await counts.write()
        assert (await store.view_rows(COUNTS, start=0, end=10**11)).rows == [(ONE, 2, 1)]


async def test_counts_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    written = list[Reuse]()

    class Store:
        async def count_reuses(self, reuses: Sequence[Reuse]) -> None:
            written.extend(reuses)

    counts = ReuseCounts(Store())  # type: ignore[arg-type]
    for number in range(10_001):
        counts.add(str(number), cached=1)
    counts.add("0", cached=1)
    await counts.write()
    assert len(written) == 10_000
    assert written[0].cached == 2
