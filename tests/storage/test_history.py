"""The contract of `HistoryStore`, run on every backend."""

from dataclasses import replace

import anyio
import pytest

from cqox.storage import ResultStore
from tests.storage.conftest import Opening
from tests.storage.records import a_dataset, a_report, an_annotation

pytestmark = pytest.mark.anyio

ONE = a_report(1).analysis_id


async def test_an_annotation_is_read_back_and_replaced_where_its_version_is_known(store: ResultStore) -> None:
    await store.save(a_report(1))
    assert await store.annotation(ONE) is None
    first = an_annotation(1, "a", title="春の施策", notes="line\nline")
    assert await store.annotate(first, replaces=None) is True
    assert await store.annotation(ONE) == first
    second = an_annotation(1, "b", notes="other")
    for stale in (None, "z"):
        assert await store.annotate(replace(second, version="c"), replaces=stale) is False
        assert await store.annotation(ONE) == first
    assert await store.annotate(second, replaces="a") is True
    assert await store.annotation(ONE) == second


async def test_the_report_stays_the_same_and_the_annotation_survives_its_repair(store: ResultStore) -> None:
    damaged = replace(a_report(1), digest="0" * 32)
    await store.save(damaged)
    await store.annotate(an_annotation(1, "a", title="t"), replaces=None)
    assert await store.save(a_report(1)) is True
    assert await store.load(ONE) == a_report(1)
    assert await store.annotation(ONE) == an_annotation(1, "a", title="t")


async def test_what_is_not_stored_cannot_be_annotated(store: ResultStore) -> None:
    assert await store.annotate(an_annotation(1, "a", title="t"), replaces=None) is False
    assert await store.annotation(ONE) is None
    for invalid in ("\0", "\ud800"):
        assert await store.annotation(invalid) is None
        assert await store.annotate(replace(an_annotation(1, "a"), analysis_id=invalid), replaces=None) is False
        assert (await store.summaries(search=invalid)).items == []
        await store.forget_history(invalid)
        assert await store.rename(invalid, "n") is None


async def test_one_of_many_concurrent_first_annotations_is_stored(store: ResultStore) -> None:
    await store.save(a_report(1))
    done: list[str] = []

    async def annotate(version: str) -> None:
        if await store.annotate(an_annotation(1, version), replaces=None):
            done.append(version)

    async with anyio.create_task_group() as group:
        for number in range(12):
            group.start_soon(annotate, str(number))
    found = await store.annotation(ONE)
    assert found is not None
    assert done == [found.version]


async def test_an_annotation_is_deleted_with_its_report_and_does_not_return(store: ResultStore) -> None:
    for number in (1, 2):
        await store.save(a_report(number))
        await store.annotate(an_annotation(number, "a", title="t"), replaces=None)
    await store.delete_reports([ONE])
    assert await store.annotation(ONE) is None
    assert await store.annotation(a_report(2).analysis_id) is not None
    assert await store.annotate(an_annotation(1, "b"), replaces="a") is False
    await store.save(a_report(1))
    assert await store.annotation(ONE) is None


async def test_the_annotations_of_a_data_set_are_forgotten_and_no_others(store: ResultStore) -> None:
    for number, dataset in ((1, "a"), (2, "a"), (3, "b")):
        await store.save(a_report(number, dataset_id=dataset))
        await store.annotate(an_annotation(number, "v", title="t"), replaces=None)
    await store.forget_history("a")
    assert [await store.annotation(a_report(n).analysis_id) is None for n in (1, 2, 3)] == [True, True, False]


async def test_summaries_have_the_question_the_headline_and_what_people_wrote(store: ResultStore) -> None:
    await store.register(a_dataset("d"))
    report = replace(a_report(1), outcome="売上", treatment="施策", headline='{"text":"It rose."}')
    await store.save(report)
    await store.save(a_report(2, dataset_id="gone"))
    await store.annotate(an_annotation(1, "a", title="Spring", notes="あ" * 300), replaces=None)
    newest, found = (await store.summaries()).items
    assert (newest.analysis_id, newest.dataset_name, newest.title, newest.notes) == (
        a_report(2).analysis_id, None, None, None,
    )  # fmt: skip
    assert (newest.outcome, newest.treatment, newest.headline) == (None, None, None)
    assert (found.outcome, found.treatment, found.headline) == ("売上", "施策", '{"text":"It rose."}')
    assert (found.dataset_name, found.title, found.notes) == ("d.csv", "Spring", "あ" * 201)
    assert (found.created_at, found.status, found.verdict) == (report.created_at, "ok", "GO")
    assert (found.primary, found.estimate) == ("ols_adjustment", report.estimate)


async def test_pages_of_summaries_are_those_of_reports(store: ResultStore) -> None:
    for number in range(7):
        await store.save(a_report(number, created_at=f"2026-01-01T00:00:0{number // 2}+00:00"))
        await store.annotate(an_annotation(number, "v", title=f"t{number}"), replaces=None)
    seen: list[str | None] = []
    before = None
    while True:
        page = await store.summaries(limit=3, before=before)
        seen += [each.title for each in page.items]
        if (before := page.next) is None:
            break
    assert seen == [f"t{number}" for number in reversed(range(7))]


async def test_a_search_finds_titles_notes_and_named_data_sets_and_takes_no_wildcards(store: ResultStore) -> None:
    for number, dataset in ((1, "a"), (2, "b"), (3, "b")):
        await store.save(a_report(number, dataset_id=dataset))
    await store.annotate(an_annotation(1, "v", title="Spring 100%"), replaces=None)
    await store.annotate(an_annotation(2, "v", notes="see\nSPRING"), replaces=None)

    async def found(search: str, *, named: tuple[str, ...] = (), dataset_id: str | None = None) -> list[int]:
        page = await store.summaries(search=search, named=named, dataset_id=dataset_id)
        return [int(each.analysis_id, 16) for each in page.items]

    assert await found("spring") == [2, 1]
    assert await found("spring", dataset_id="a") == [1]
    assert await found("100%") == [1]
    assert await found("1%0") == []
    assert await found("_") == []
    assert await found("nothing", named=("b", "z")) == [3, 2]
    assert await found("spring", named=("b",)) == [3, 2, 1]


async def test_a_data_set_is_renamed_and_keeps_the_name_when_it_is_registered_again(store: ResultStore) -> None:
    await store.register(a_dataset("a"))
    renamed = replace(a_dataset("a"), name="2026 春")
    assert await store.rename("a", "2026 春") == renamed
    assert await store.register(a_dataset("a")) == renamed
    assert await store.rename("b", "n") is None


async def test_an_annotation_survives_a_reopen(open_store: Opening) -> None:
    async with open_store() as store:
        await store.save(a_report(1))
        await store.annotate(an_annotation(1, "a", title="t"), replaces=None)
    async with open_store() as store:
        assert await store.annotation(ONE) == an_annotation(1, "a", title="t")


async def test_looks_are_counted_by_outcome_and_treatment_of_their_data_set(store: ResultStore) -> None:
    asked = [("y", "w", "d"), ("y", "w", "d"), ("y", None, "d"), (None, None, "d"), ("y", "w", "other")]
    for number, (outcome, treatment, dataset) in enumerate(asked):
        await store.save(replace(a_report(number, dataset_id=dataset), outcome=outcome, treatment=treatment))
    found = {(each.outcome, each.treatment): each.analyses for each in await store.looks("d")}
    assert found == {("y", "w"): 2, ("y", None): 1, (None, None): 1}
    await store.delete_reports([a_report(0).analysis_id])
    assert sorted(each.analyses for each in await store.looks("d")) == [1, 1, 1]
    assert list(await store.looks("nothing")) == list(await store.looks("\0")) == []
