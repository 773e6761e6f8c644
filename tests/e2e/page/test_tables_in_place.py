"""A table that stays where it is, from its choice to an answer and a variation, in both languages."""

from collections.abc import Iterator

import polars as pl
import pytest
from playwright.sync_api import expect

from tests.e2e.page.conftest import Visitors
from tests.e2e.page.test_accessibility import violations
from tests.e2e.page.visitor import Visitor
from tests.e2e.stack import Stack, running_stack

ROWS = 4_000
LARGE = 220_000
"""More rows than a table may have to be read whole."""


@pytest.fixture(scope="module")
def lake_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("lake")
    number = pl.int_range(ROWS, eager=True)
    frame = pl.DataFrame(
        {
            "売上": (number % 7) / 3 + (number % 11 < 5).cast(float) + (number * 0.37).sin(),
            "campaign": (number % 11 < 5).cast(int),
            "age": (number * 0.7).cos(),
            "region": "r" + (number % 3).cast(str),
            "extra": [[1]] * ROWS,
        }
    )
    frame.write_parquet(folder / "sales.parquet")
    frame.head(300).write_parquet(folder / "pilot.parquet")
    many = pl.int_range(LARGE, eager=True)
    trial = {"sales": (many % 7) / 3 + (many % 11 < 5).cast(float) + (many * 0.37).sin(), "age": (many * 0.7).cos()}
    pl.DataFrame({**trial, "campaign": (many % 11 < 5).cast(int)}).write_parquet(folder / "large.parquet")
    sources = folder / "sources.toml"
    sources.write_text(
        f'[lake]\nkind = "parquet"\nfolder = "{folder}"\ntables = ["pilot.parquet", "sales.parquet", "large.parquet"]\n'
        f'meaning = "All sales"\n[gone]\nkind = "parquet"\nfolder = "{folder}"\ntables = ["none"]\n',
        encoding="utf-8",
    )
    with running_stack(tmp_path_factory.mktemp("stack"), CQOX_SOURCES=str(sources)) as made:
        yield made


def choose_table(visitor: Visitor, source: str, table: str) -> None:
    visitor.choose("table-source", source)
    visitor.choose("table-name", table)
    visitor.click("table-open")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_table_is_chosen_and_answered_where_it_is(lake_stack: Stack, visitors: Visitors, language: str) -> None:
    visitor = visitors.enter(lake_stack.gateway.url, language)
    expect(visitor.page.locator("#tables")).to_contain_text("All sales")
    assert not violations(visitor)
    visitor.shoot("1-start")
    choose_table(visitor, "lake", "sales.parquet")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("sales.parquet")
    # Roles are suggested as those of an upload, and what is suggested is previewed.
    expect(visitor.page.get_by_label(visitor.text("role-y"), exact=True)).to_have_value("売上")
    expect(visitor.page.get_by_label(visitor.text("role-treatment"), exact=True)).to_have_value("campaign")
    assert visitor.preview()
    expect(visitor.page.locator("#roles")).to_contain_text("extra")
    expect(visitor.button("run")).to_be_enabled()
    # A person decides: no treatment, no question.
    visitor.choose("role-treatment", "")
    expect(visitor.button("run")).to_be_disabled()
    expect(visitor.page.locator("#preview")).to_contain_text(visitor.text("run-needs-roles"))
    visitor.page.get_by_text(visitor.text("table-columns")).first.click()
    columns = visitor.page.locator("#data table")
    columns.wait_for()
    assert visitor.text("column-unusable", type="List(Int64)") in visitor.plain(columns)
    outcome = visitor.page.get_by_label(visitor.text("role-y"), exact=True)
    # A column that cannot be analysed is no choice.
    assert "extra" not in outcome.inner_text()
    visitor.choose("role-y", "売上")
    visitor.choose("role-treatment", "campaign")
    for name, is_wanted in (("age", True), ("region", False)):
        visitor.page.get_by_role("checkbox", name=name).set_checked(is_wanted)
    visitor.preview()
    assert not violations(visitor)
    visitor.shoot("2-roles")
    # What was chosen is kept in this browser.
    visitor.page.reload()
    expect(visitor.page.get_by_role("checkbox", name="age")).to_be_checked()
    analysis_id = visitor.answer()
    with lake_stack.client() as api:
        report = api.get(f"/api/analyses/{analysis_id}", params={"lang": language}).json()
        assert (report["provenance"]["source"], report["provenance"]["table"]) == ("lake", "sales.parquet")
        assert report["mapping"] == {"y": "売上", "treatment": "campaign", "covariates": ["age"]}
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(report["decision"]["headline"])
    visitor.click("what-if-open")
    visitor.page.get_by_role("checkbox", name="region").check()
    visitor.click("what-if-run")
    visitor.page.get_by_role("region", name=visitor.text("compared")).wait_for()
    visitor.shoot("3-what-if")
    visitor.goto("/history")
    row = visitor.page.get_by_role("link", name="sales.parquet", exact=True).first
    row.click()
    expect(visitor.button("run")).to_be_enabled()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_suggestions_and_preview_of_a_large_table_say_that_they_are_of_a_sample(
    lake_stack: Stack, visitors: Visitors, language: str
) -> None:
    visitor = visitors.enter(lake_stack.gateway.url, language)
    choose_table(visitor, "lake", "large.parquet")
    visitor.preview()
    with lake_stack.client() as api:
        named = {"source": "lake", "table": "large.parquet"}
        roles = api.post("/api/roles/infer", json=named, params={"lang": language}).json()
        body = {**named, "mapping": roles["mapping"]}
        preview = api.post("/api/analyze/preview", json=body, params={"lang": language}).json()
    assert roles["sample"]["of"] == preview["sample"]["of"] == LARGE
    assert roles["notes"][0] in visitor.plain(visitor.page.locator("#roles"))
    said = visitor.text("preview-sample", **{name: f"{count:,}" for name, count in preview["sample"].items()})
    assert said in visitor.plain(visitor.page.locator("#preview"))
    assert not violations(visitor)
    visitor.shoot("4-sample")


def test_an_answer_is_asked_again_on_the_table(lake_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(lake_stack.gateway.url)
    choose_table(visitor, "lake", "pilot.parquet")
    visitor.choose("role-y", "売上")
    visitor.choose("role-treatment", "campaign")
    first = visitor.answer()
    visitor.page.locator(".ledger > li").get_by_role("button").first.click()
    visitor.page.wait_for_url(lambda url: "/a/" in url and first not in url)
    with lake_stack.client() as api:
        report = api.get(f"/api/analyses/{visitor.arrive()}").json()
    assert report["provenance"]["table"] == "pilot.parquet"


def test_a_table_that_is_not_there_and_a_source_that_is_down_are_said(lake_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(lake_stack.gateway.url)
    visitor.allow_failed_requests()
    visitor.goto("/d/source%3Alake%3Apay.parquet")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(visitor.text("table-gone-title"))
    visitor.goto("/d/source%3Agone%3Anone")
    expect(visitor.page.locator("main")).to_contain_text("has no data for the table")
