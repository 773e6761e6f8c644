"""Titles and notes of reports, and listings with them."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import anyio
import pytest

from cqox.analysis.datasets import Datasets
from cqox.analysis.history import UNWRITTEN, History, listed, no_analysis, searchable
from cqox.analysis.results import Results
from cqox.contract.messages import Message
from cqox.errors import NotFound, PreconditionFailed, StoreUnavailable
from cqox.storage import DatasetRecord, SqliteStore
from tests.storage.bound import a_cache, in_default
from tests.storage.records import a_dataset, a_report, a_summary

pytestmark = pytest.mark.anyio

ONE = a_report(1).analysis_id


class Names:
    async def all(self) -> list[DatasetRecord]:
        return [a_dataset("d"), replace(a_dataset("e"), name="ＳＡＬＥＳ 2026.xlsx")]

    async def get(self, dataset_id: str) -> DatasetRecord:
        if dataset_id != "d":
            raise NotFound("There is no such data set.", field="dataset_id")
        return a_dataset("d")


@asynccontextmanager
async def history(folder: Path) -> AsyncIterator[tuple[History, SqliteStore, Results]]:
    async with in_default(SqliteStore.open, folder / "results.sqlite") as store:
        results = Results(store, a_cache())
        yield History(store=store, results=results, datasets=cast("Datasets", Names())), store, results


async def test_a_member_that_is_absent_stays_and_none_removes(tmp_path: Path) -> None:
    async with history(tmp_path) as (made, store, _):
        await store.save(a_report(1))
        none = await made.annotation(ONE)
        assert (none.title, none.notes, none.updated_at, none.version) == (None, None, "", UNWRITTEN)
        await made.annotate(ONE, {"title": "T", "notes": "N"})
        changed = await made.annotate(ONE, {"notes": "M"})
        assert (changed.title, changed.notes) == ("T", "M")
        assert await made.annotation(ONE) == changed
        removed = await made.annotate(ONE, {"title": None})
        assert (removed.title, removed.notes) == (None, "M")
        assert (await store.load(ONE)) == a_report(1)


async def test_a_change_of_another_version_is_refused_unless_it_is_already_made(tmp_path: Path) -> None:
    async with history(tmp_path) as (made, store, _):
        await store.save(a_report(1))
        first = await made.annotate(ONE, {"title": "mine"}, expected={UNWRITTEN})
        # A repeated attempt, whose first answer was lost.
        assert await made.annotate(ONE, {"title": "mine"}, expected={UNWRITTEN}) == first
        with pytest.raises(PreconditionFailed) as caught:
            await made.annotate(ONE, {"title": "theirs"}, expected={UNWRITTEN, "x"})
        assert caught.value.field == "If-Match"
        assert await made.annotation(ONE) == first
        second = await made.annotate(ONE, {"title": "theirs"}, expected={"x", first.version})
        assert second.version != first.version
        with pytest.raises(PreconditionFailed):
            await made.annotate(ONE, {"title": "late"}, expected=frozenset())


async def test_concurrent_changes_of_different_members_are_all_kept(tmp_path: Path) -> None:
    async with history(tmp_path) as (made, store, _):
        await store.save(a_report(1))
        async with anyio.create_task_group() as group:
            group.start_soon(made.annotate, ONE, {"title": "T"})
            group.start_soon(made.annotate, ONE, {"notes": "N"})
        found = await made.annotation(ONE)
        assert (found.title, found.notes) == ("T", "N")


async def test_a_report_that_there_is_not_or_not_yet_in_the_store_is_not_annotated(tmp_path: Path) -> None:
    async with history(tmp_path) as (made, store, results):
        for ask in (made.annotation(ONE), made.annotate(ONE, {"title": "t"})):
            with pytest.raises(NotFound) as caught:
                await ask
            assert caught.value.field == no_analysis(ONE).field == "analysis_id"
        save = store.save

        async def refused(report: object) -> bool:
            raise StoreUnavailable("away")

        store.save = refused  # type: ignore[method-assign, assignment]
        assert not await results.keep(a_report(1))
        assert (await made.annotation(ONE)).version == UNWRITTEN
        with pytest.raises(StoreUnavailable, match="not stored yet"):
            await made.annotate(ONE, {"title": "t"})
        store.save = save  # type: ignore[method-assign]
        await results.settle()
        assert (await made.annotate(ONE, {"title": "t"})).title == "t"


async def test_a_search_knows_neither_case_nor_width_and_finds_names_of_data_sets(tmp_path: Path) -> None:
    async with history(tmp_path) as (made, store, _):
        for number, dataset in ((1, "d"), (2, "e"), (3, "d")):
            await store.save(a_report(number, dataset_id=dataset))
        await made.annotate(ONE, {"title": "Ｓｐｒｉｎｇ", "notes": "ｾｰﾙ"})

        async def found(search: str | None, dataset_id: str | None = None) -> list[int]:
            page = await made.summaries(dataset_id=dataset_id, search=search, limit=50, before=None)
            return [int(each.analysis_id, 16) for each in page.items]

        assert await found("SPRING ") == [1]
        assert await found("セール") == [1]
        assert await found("sales") == [2]
        assert await found("sales", "d") == []
        assert await found(" ") == await found(None) == [3, 2, 1]


async def test_looks_are_ordered_and_also_counted_where_the_data_set_is_deleted(tmp_path: Path) -> None:
    async with history(tmp_path) as (made, store, _):
        assert await made.looks("d") == []
        with pytest.raises(NotFound):
            await made.looks("gone")
        for number, outcome in enumerate(["b", "a", "c", "c", None]):
            await store.save(replace(a_report(number, dataset_id="gone"), outcome=outcome, treatment="w"))
        found = [(each.outcome, each.analyses) for each in await made.looks("gone")]
        assert found == [("c", 2), (None, 1), ("a", 1), ("b", 1)]


def test_a_listing_has_the_messages_of_its_headlines_and_the_beginning_of_notes() -> None:
    said = Message("analysis.constant")
    headline = '{"text":"constant","message":{"code":"analysis.constant","params":{}}}'
    summaries = [
        a_summary(1),
        replace(a_summary(2), headline=headline, notes="x" * 201),
        replace(a_summary(3), headline='{"text":"plain","message":null}', notes="x" * 200),
    ]
    found = listed(summaries)
    rows = cast("list[dict[str, object]]", found["analyses"])
    assert [row["headline"] for row in rows] == [None, str(said), "plain"]
    assert found["messages"] == {"/analyses/1/headline": {"code": "analysis.constant", "params": {}}}
    assert [row["notes"] for row in rows] == [None, "x" * 199 + "…", "x" * 200]


def test_text_is_folded_in_a_time_that_its_length_bounds() -> None:
    assert searchable(" Ｓtraße\n") == "strasse"
    began = time.process_time()
    searchable("a" + "\u0327\u0301" * 5_000)
    # Ten times what it takes; at once it would take a hundred times as long.
    assert time.process_time() - began < 0.2
