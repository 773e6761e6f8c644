"""The seven steps from a sample to an answer that is exported, shared and kept, in both languages."""

import json

import httpx
import pytest
from playwright.sync_api import Route, expect

from cqox.contract.messages import template
from tests.e2e.engines import LONG
from tests.e2e.page.conftest import Visitors
from tests.e2e.stack import Stack

LANGUAGES = ["en", "ja"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sample_becomes_an_answer_as_the_api_gives_it(page_stack: Stack, visitors: Visitors, language: str) -> None:
    visitor = visitors.enter(page_stack.gateway.url, language)
    visitor.shoot("1-start")
    visitor.sample("mini_retail")
    assert "2024-07-01" in visitor.preview()
    visitor.shoot("2-data-roles-preview")
    analysis_id = visitor.answer()
    with page_stack.client() as api:
        report = api.get(f"/api/analyses/{analysis_id}", params={"lang": language}).json()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(report["decision"]["headline"])
    expect(visitor.page.locator(".verdict .badge")).to_contain_text(report["decision"]["verdict"])
    shown = visitor.plain(visitor.page.locator(".ledger"))
    for assumption in report["identification"]["assumptions"]:
        assert assumption["statement"] in shown
        own = template(language, f"page.remedy-{assumption['name'].replace('_', '-')}")
        said = own if own is not None and assumption["status"] == "untested" else assumption["remedy"]
        assert (said or "") in shown
    assert "options." not in shown
    passing = [name for name, gate in report["gates"].items() if gate["status"] == "pass"]
    assert visitor.page.locator(".gates > .pass").count() == len(passing)
    visitor.draw()
    visitor.shoot("5-answer")
    assert not visitor.errors


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_vouched_assumption_and_a_variation_are_answered_again(
    page_stack: Stack, visitors: Visitors, language: str
) -> None:
    visitor = visitors.enter(page_stack.gateway.url, language)
    visitor.sample("mini_retail")
    first = visitor.answer()
    visitor.click("declare")
    visitor.page.wait_for_url(lambda url: "/a/" in url and first not in url)
    second = visitor.arrive()
    with page_stack.client() as api:
        report = api.get(f"/api/analyses/{second}").json()
        assert report["options"]["assumes"] == ["parallel_trends"]
    visitor.click("what-if-open")
    visitor.page.get_by_role("checkbox", name="平均気温").uncheck()
    visitor.click("what-if-run")
    compared = visitor.page.get_by_role("region", name=visitor.text("compared"))
    compared.wait_for()
    assert "− 平均気温" in visitor.plain(compared)
    assert "with=" in visitor.page.url
    with page_stack.client() as api:
        looks = api.get("/api/datasets/mini_retail/looks").json()["analyses"]
    expect(visitor.page.locator("#what-if .note").first).to_contain_text(str(looks))
    visitor.shoot("6-what-if")
    visitor.page.reload()
    compared.wait_for()
    visitor.click("what-if-run")
    expect(visitor.page.locator("#what-if")).to_contain_text(visitor.text("what-if-same"))


def test_an_assumption_that_caps_nothing_can_be_vouched_for_too(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.sample("mini_retail")
    first = visitor.answer()
    entry = visitor.page.locator(".ledger > li").filter(has_text=visitor.text("remedy-no-interference"))
    entry.get_by_role("button").click()
    visitor.page.wait_for_url(lambda url: "/a/" in url and first not in url)
    with page_stack.client() as api:
        report = api.get(f"/api/analyses/{visitor.arrive()}").json()
    assert report["options"]["assumes"] == ["no_interference"]


def test_the_planned_share_of_a_trial_is_tested(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.sample("test")
    share = visitor.page.get_by_label(visitor.text("planned-share"))
    visitor.page.get_by_role("radio", name=visitor.text("assignment-unknown")).check()
    expect(share).to_have_count(0)
    visitor.page.get_by_role("radio", name=visitor.text("assignment-randomized")).check()
    share.fill("12.5")
    share.blur()
    with page_stack.client() as api:
        report = api.get(f"/api/analyses/{visitor.answer()}").json()
    assert report["options"]["assignment"] == "randomized"
    assert report["options"]["expected_share"] == 0.125
    visitor.page.go_back()
    visitor.goto("/d/test")
    visitor.page.get_by_role("radio", name=visitor.text("assignment-unknown")).check()
    with page_stack.client() as api:
        report = api.get(f"/api/analyses/{visitor.answer()}").json()
    assert report["options"].get("expected_share") is None


def test_a_variation_can_be_stopped(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.sample("test")
    visitor.answer()
    visitor.click("what-if-open")
    visitor.page.locator("#what-if").get_by_label(visitor.text("minimum-effect")).fill("0.1")

    def prolong(route: Route) -> None:
        asked = route.request.post_data_json
        route.continue_(post_data=json.dumps(asked | {"mapping": LONG["mapping"], "options": LONG["options"]}))

    visitor.page.route("**/api/analyze/comprehensive", prolong)
    visitor.click("what-if-run")
    visitor.click("run-cancel")
    expect(visitor.button("what-if-run")).to_be_enabled()
    with page_stack.client() as api:
        assert api.get("/api/jobs").json()["jobs"][0]["status"] == "cancelled"
    visitor.page.unroute("**/api/analyze/comprehensive")
    visitor.click("what-if-run")
    visitor.page.get_by_role("region", name=visitor.text("compared")).wait_for()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_answer_is_taken_along_shared_named_found_and_deleted(
    page_stack: Stack, visitors: Visitors, language: str
) -> None:
    visitor = visitors.enter(page_stack.gateway.url, language)
    visitor.sample("test")
    analysis_id = visitor.answer()
    beginnings = {"PowerPoint": b"PK", "PDF": b"%PDF", "HTML": b"<!doctype html>", "CSV": b"estimator,"}
    for name, beginning in beginnings.items():
        with visitor.page.expect_download() as download:
            visitor.page.get_by_role("button", name=name, exact=True).click()
        content = download.value.path().read_bytes().removeprefix(b"\xef\xbb\xbf")
        assert content[:15].lower().startswith(beginning.lower()), (name, content[:20])
    title = f"第1回 <b>{language}</b>"
    visitor.click("add-notes")
    visitor.page.get_by_label(visitor.text("title"), exact=True).fill(title)
    visitor.page.get_by_label(visitor.text("notes"), exact=True).fill("for the boss\nשלום")
    visitor.click("save")
    expect(visitor.page.locator(".annotation .title")).to_have_text(title)
    visitor.click("share-create")
    link = visitor.page.get_by_label(visitor.text("share-link"), exact=True).input_value()
    visitor.shoot("7-share")
    reader = visitors.enter(page_stack.gateway.url, language)
    reader.goto(link)
    headline = visitor.page.get_by_role("heading", level=1).inner_text()
    expect(reader.page.get_by_role("heading", level=1)).to_have_text(headline)
    reader.draw()
    reader.shoot("8-shared")
    assert title in reader.plain(reader.page.locator("main"))
    assert reader.page.get_by_role("button", name=reader.text("what-if-open")).count() == 0
    visitor.click("share-revoke")
    reader.expected = "404"
    reader.page.reload()
    expect(reader.page.get_by_role("heading", level=1)).to_have_text(reader.text("shared-gone-title"))
    visitor.goto("/history")
    visitor.page.get_by_label(visitor.text("search"), exact=True).fill(f"<b>{language}")
    row = visitor.page.get_by_role("row").filter(has_text=title)
    row.wait_for()
    visitor.shoot("9-history")
    row.get_by_role("button").click()
    visitor.page.get_by_role("dialog").get_by_role("button", name=visitor.text("delete"), exact=True).click()
    expect(row).to_have_count(0)
    answer = httpx.get(f"{page_stack.gateway.url}/api/analyses/{analysis_id}", trust_env=False)
    assert answer.status_code == 404
    visitor.expected = "404"
    visitor.goto(f"/a/{analysis_id}")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(visitor.text("analysis-gone-title"))


def test_the_language_is_switched_where_one_is_and_kept(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url, "en")
    visitor.sample("test")
    visitor.page.get_by_role("button", name="日本語").click()
    visitor.language = "ja"
    expect(visitor.page.locator("#run button")).to_have_text(visitor.text("run"))
    assert visitor.page.locator("html").get_attribute("lang") == "ja"
    visitor.page.reload()
    assert visitor.preview()
    expect(visitor.page.locator("#run button")).to_have_text(visitor.text("run"))


def test_an_unknown_address_says_so(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.expected = "404"
    visitor.goto("/d/nothing")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(visitor.text("dataset-gone-title"))
    visitor.goto("/j/nothing")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(visitor.text("run-gone"))
