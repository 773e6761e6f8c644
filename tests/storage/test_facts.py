"""Facts about reports, on every backend: written, read through views, replaced and deleted with their report."""

from dataclasses import replace

import pytest

from cqox.dashboards.views import VIEWS, Measure, ViewQuery
from cqox.storage import ResultStore, Reuse
from cqox.storage.facts import FORMAT
from tests.storage.conftest import Opening
from tests.storage.records import FACTS_ITEMS, a_dataset, a_report, an_annotation, some_facts

pytestmark = pytest.mark.anyio


async def saved(store: ResultStore, number: int, *, dataset_id: str = "d", verdict: str = "GO") -> None:
    report = replace(a_report(number, dataset_id=dataset_id), outcome="y", treatment="w")
    assert await store.save(report, facts=some_facts(number, verdict=verdict))


async def asked(store: ResultStore, query: ViewQuery, *, start: int = 0, end: int = 10**10, step: int = 1) -> list:
    return list((await store.view_rows(query, start=start, end=end, step=step)).rows)


def every(view: str) -> ViewQuery:
    columns = tuple(name for name in VIEWS[view] if name != "tenant_id")
    return ViewQuery(view=view, columns=columns, order=("created_second", *(["name"] if "name" in columns else [])))


async def test_each_view_has_what_was_saved_in_the_columns_that_it_names(store: ResultStore) -> None:
    await store.register(a_dataset("d"))
    await saved(store, 1)
    facts, identity = some_facts(1), a_report(1).analysis_id
    (row,) = await asked(store, every("dashboard_analyses"))
    found = dict(zip(every("dashboard_analyses").columns, row, strict=True))
    own = {name: getattr(facts, name) for name in found if hasattr(facts, name)}
    assert len(own) == 25
    assert found == own | {
        "dataset_id": "d", "outcome": "y", "treatment": "w", "annotated": 0,
    }  # fmt: skip
    head = (identity, 1_001)
    assert await asked(store, every("dashboard_gates")) == [
        (*head, "balance", "pass", 0.1, 0.25),
        (*head, "overlap", "fail", 0.3, 0.25),
    ]
    assert await asked(store, every("dashboard_assumptions")) == [(*head, "unconfounded", "untested", 1)]
    assert await asked(store, every("dashboard_refuters")) == [(*head, "data_subset", "stands", 1.0, 0.1, 0.5, 40)]
    assert await asked(store, every("dashboard_roles")) == [(*head, "y", "same", 1)]
    assert await asked(store, every("dashboard_findings")) == [(*head, "arms-differ", "caps", "open")]
    assert await asked(store, every("dashboard_estimators")) == [
        (*head, "aipw", "doubly_robust", "ATE", "ok", None, None, 1.5, 0.1, 1.3, 1.7, 0.01, 400, 0.5),
        (
            *(*head, "iv_2sls", "instruments", "LATE", "skipped", "estimators.missing-role", "instrument"),
            *(None, None, None, None, None, None, 0.0),
        ),
    ]
    assert await asked(store, every("dashboard_reuses")) == []


async def test_rows_are_grouped_and_divided_into_steps(store: ResultStore) -> None:
    for number, verdict in ((1, "GO"), (2, "HOLD"), (3, "GO"), (11, "GO"), (25, "HOLD")):
        await saved(store, number, verdict=verdict)
    counts = (Measure(name="number", how="count"), Measure(name="typical", how="mean", column="estimate"))
    query = ViewQuery(
        view="dashboard_analyses", columns=("verdict",), measures=counts, each_step=True, order=("verdict",)
    )
    assert await asked(store, query, start=1_000, end=1_020, step=10) == [
        (1_000, "GO", 2, pytest.approx(2 / 7)),
        (1_000, "HOLD", 1, pytest.approx(2 / 7)),
        (1_010, "GO", 1, pytest.approx(11 / 7)),
    ]
    whole = ViewQuery(
        view="dashboard_estimators",
        columns=("status",),
        measures=(
            *(Measure(name=how, how=how, column="seconds") for how in ("sum", "mean", "lowest", "highest")),
            Measure(name="number", how="count"),
        ),
        where=(("name", ("aipw", "iv_2sls")), ("estimate", ())),
    )
    assert await asked(store, whole) == [("ok", 2.5, 0.5, 0.5, 0.5, 5)]
    total = ViewQuery(view="dashboard_analyses", measures=(Measure(name="number", how="count"),))
    assert await asked(store, total, start=1_002, end=1_003) == [(1,)]


async def test_a_question_is_about_the_newest_analyses_and_says_since_when(store: ResultStore) -> None:
    for number in range(6):
        await saved(store, number)
    query = ViewQuery(view="dashboard_gates", columns=("analysis_id", "name"), where=(("status", ("fail",)),))
    newest = await store.view_rows(replace(query, most_analyses=2, order=("-created_second",)), start=0, end=10**6)
    assert [row[0] for row in newest.rows] == [a_report(5).analysis_id, a_report(4).analysis_id]
    assert (newest.since, newest.is_cut) == (1_004, False)
    first = await store.view_rows(replace(query, most_rows=2, order=("created_second",)), start=0, end=1_004)
    assert [row[0] for row in first.rows] == [a_report(0).analysis_id, a_report(1).analysis_id]
    assert (first.since, first.is_cut) == (None, True)


async def test_facts_are_deleted_with_their_report(store: ResultStore) -> None:
    for number in (1, 2):
        await saved(store, number)
        await store.count_reuses([Reuse(analysis_id=a_report(number).analysis_id, day_second=0, cached=1)])
    await store.delete_reports([a_report(1).analysis_id])
    left = a_report(2).analysis_id
    for view in ("dashboard_analyses", "dashboard_estimators", "dashboard_reuses"):
        assert {row[0] for row in await asked(store, every(view))} == {left}
    await store.erase_everything()
    for view in VIEWS:
        assert await asked(store, every(view)) == []


async def test_facts_belong_to_a_stored_report_and_replace_earlier_ones(store: ResultStore) -> None:
    assert await store.put_facts(some_facts(1)) is False
    assert await store.put_facts(replace(some_facts(1), analysis_id="\0")) is False
    await saved(store, 1)
    assert await store.put_facts(replace(some_facts(1, verdict="HOLD"), items=FACTS_ITEMS[:1])) is True
    query = ViewQuery(view="dashboard_analyses", columns=("verdict",))
    assert await asked(store, query) == [("HOLD",)]
    assert len(await asked(store, every("dashboard_gates"))) == 1
    assert await asked(store, every("dashboard_roles")) == []


async def test_a_report_that_replaces_a_damaged_one_has_facts_once(store: ResultStore) -> None:
    damaged = replace(a_report(1), digest="0" * 32)
    assert await store.save(damaged, facts=some_facts(1))
    assert await store.save(a_report(1), facts=some_facts(1, verdict="HOLD"))
    assert await store.save(a_report(1), facts=some_facts(1)) is False
    assert await asked(store, ViewQuery(view="dashboard_analyses", columns=("verdict",))) == [("HOLD",)]


async def test_reports_without_facts_are_found_page_by_page(open_store: Opening) -> None:
    async with open_store() as store:
        for number in range(5):
            await store.save(a_report(number))
        assert await store.put_facts(some_facts(3))
        first = await store.without_facts(limit=2)
        assert list(first.items) == [a_report(4).analysis_id, a_report(2).analysis_id]
        second = await store.without_facts(limit=2, before=first.next)
        assert list(second.items) == [a_report(1).analysis_id, a_report(0).analysis_id]
        assert list((await store.without_facts(limit=2, before=second.next)).items) == []
        assert list((await store.without_facts(limit=2, before="\0|")).items) == []


async def test_facts_of_an_earlier_format_are_to_be_computed_again(
    open_store: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store() as store:
        await saved(store, 1)
        assert (await store.without_facts(limit=9)).items == []
        for module in ("cqox.storage.sqlite_facts.FORMAT", "cqox.storage.postgres.facts.FORMAT"):
            monkeypatch.setattr(module, FORMAT + 1)
        assert list((await store.without_facts(limit=9)).items) == [a_report(1).analysis_id]


async def test_reuses_add_up_by_day_and_those_of_unknown_reports_are_dropped(store: ResultStore) -> None:
    await saved(store, 1)
    identity, day = a_report(1).analysis_id, 86_400
    for _ in range(2):
        await store.count_reuses(
            [
                Reuse(analysis_id=identity, day_second=day, cached=3, shared=1),
                Reuse(analysis_id=a_report(2).analysis_id, day_second=day, cached=1),
                Reuse(analysis_id="\0", day_second=day, cached=1),
            ]
        )
    await store.count_reuses([Reuse(analysis_id=identity, day_second=2 * day, shared=1)])
    assert await asked(store, every("dashboard_reuses")) == [
        (identity, day, 6, 2, 2.0, 16.0),
        (identity, 2 * day, 0, 1, 2.0, 2.0),
    ]


async def test_an_annotation_and_a_new_name_are_seen_at_once(store: ResultStore) -> None:
    await store.register(a_dataset("d"))
    await saved(store, 1)
    await store.annotate(an_annotation(1, "v", title="Spring"), replaces=None)
    await store.rename("d", "春.csv")
    query = ViewQuery(view="dashboard_analyses", columns=("dataset_id", "dataset_name", "annotated"))
    assert await asked(store, query) == [("d", "春.csv", 1)]
    await store.forget("d")
    assert await asked(store, query) == [("d", None, 1)]


async def test_a_name_that_is_encrypted_otherwise_is_still_shown(open_store: Opening) -> None:
    async with open_store() as store:
        await saved(store, 1)
        old = await store.load(a_report(1).analysis_id)
        assert old is not None
        assert await store.reseal(old, replace(old, outcome="another"))
        query = ViewQuery(view="dashboard_analyses", columns=("analysis_id", "outcome"))
        assert await asked(store, query) == [(old.analysis_id, "another")]


async def test_a_tenant_sees_its_own_facts_alone(open_store: Opening) -> None:
    async with open_store() as store:
        one, other = store.within("acme"), store.within("other")
        await saved(one, 1)
        await other.count_reuses([Reuse(analysis_id=a_report(1).analysis_id, day_second=0, cached=1)])
        assert await other.put_facts(some_facts(1)) is False
        for view in VIEWS:
            assert await asked(other, every(view)) == []
        assert await asked(one, every("dashboard_reuses")) == []
        (row,) = await asked(one, every("dashboard_analyses"))
        assert row[0] == a_report(1).analysis_id
        await other.delete_reports([a_report(1).analysis_id])
        assert len(await asked(one, every("dashboard_gates"))) == 2
