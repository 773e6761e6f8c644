"""Faults while a person uses the page: an engine that dies, a gateway that restarts, tabs closed and doubled."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.engines import LONG
from tests.e2e.page.conftest import Visitors
from tests.e2e.page.visitor import Visitor
from tests.e2e.stack import Stack, running_stack
from tests.waiting import wait_until


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stack]:
    """Both services for one test, running."""
    with running_stack(tmp_path) as made:
        yield made


def start_long_job(visitor: Visitor) -> str:
    """Start an analysis that takes minutes, as the page does, and return the address of its view."""
    visitor.sample("test")
    options = LONG["options"]
    visitor.page.evaluate(
        "([mapping, options]) => localStorage.setItem('cqox.draft.test', JSON.stringify({ mapping, options }))",
        [LONG["mapping"], options],
    )
    visitor.page.reload()
    visitor.preview()
    visitor.click("run")
    visitor.page.wait_for_url("**/j/*")
    return visitor.page.url


def test_an_engine_that_dies_in_a_run_is_said_and_the_run_repeated(own: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(own.gateway.url)
    visitor.allow_failed_requests()
    start_long_job(visitor)
    own.engine.kill()
    expect(visitor.page.locator(".lost")).to_be_visible()
    visitor.shoot("lost")
    own.engine.start()
    own.engine.wait_ready()
    heading = visitor.page.get_by_role("heading", level=1)
    expect(heading).to_have_text(visitor.text("run-interrupted"))
    expect(visitor.page.locator(".lost")).to_have_count(0)
    visitor.shoot("interrupted")
    before = visitor.page.url
    visitor.click("run-again")
    visitor.page.wait_for_url(lambda url: "/j/" in url and url != before)
    visitor.click("run-cancel")
    visitor.page.get_by_role("dialog").get_by_role("button", name=visitor.text("run-cancel"), exact=True).click()
    expect(heading).to_have_text(visitor.text("run-cancelled"))


def test_a_gateway_that_restarts_costs_neither_the_run_nor_the_view(own: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(own.gateway.url)
    visitor.allow_failed_requests()
    start_long_job(visitor)
    own.gateway.kill()
    expect(visitor.page.locator(".lost")).to_be_visible()
    own.gateway.start()
    own.gateway.wait_ready()
    expect(visitor.page.locator(".lost")).to_have_count(0)
    with own.client() as api:
        (job,) = api.get("/api/jobs").json()["jobs"]
        assert job["status"] == "running"
        assert visitor.page.url.endswith(job["job_id"])
        api.delete(f"/api/jobs/{job['job_id']}")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(visitor.text("run-cancelled"))


def test_a_closed_tab_finds_its_run_again_and_a_second_tab_may_watch(own: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(own.gateway.url)
    address = start_long_job(visitor)
    visitor.page.close()
    visitor.page = visitor.tab()
    visitor.goto("/")
    visitor.page.get_by_role("heading", name=visitor.text("running")).wait_for()
    visitor.page.locator('a[href^="/j/"]').first.click()
    visitor.page.wait_for_url(address)
    # The browser has one stream; the second tab polls.
    second = visitor.tab()
    second.goto(address)
    for tab in (visitor.page, second):
        expect(tab.get_by_text(re.compile(r"\(\d+ of \d+\)"))).to_be_visible()
    with own.client() as api:
        api.delete(f"/api/jobs/{address.rsplit('/', 1)[1]}")
    for tab in (visitor.page, second):
        expect(tab.get_by_role("heading", level=1)).to_have_text(visitor.text("run-cancelled"))


def test_two_tabs_on_one_answer_do_not_overwrite_each_others_notes(own: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(own.gateway.url, "ja")
    visitor.sample("test")
    visitor.answer()
    first, second = visitor.page, visitor.tab()
    second.goto(first.url)
    for tab in (first, second):
        visitor.page = tab
        visitor.click("add-notes")
        tab.get_by_label(visitor.text("title"), exact=True).fill("first" if tab is first else "second")
    visitor.page = first
    visitor.click("save")
    expect(first.locator(".annotation .title")).to_have_text("first")
    visitor.page = second
    visitor.allow_failed_requests()
    visitor.click("save")
    expect(second.locator(".failure")).to_be_visible()
    visitor.shoot("two-tabs")
    visitor.click("show-other-change")
    expect(second.locator(".annotation .title")).to_have_text("first")


def test_without_an_engine_every_view_says_what_to_do(own: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(own.gateway.url)
    visitor.sample("test")
    analysis_id = visitor.answer()
    own.engine.kill()
    visitor.allow_failed_requests()
    for path in ("/", "/d/test", f"/a/{analysis_id}", "/history"):
        visitor.goto(path)
        expect(visitor.page.locator(".failure").first).to_be_visible()
        assert visitor.button("try-again").is_visible()
    visitor.shoot("no-engine")
    own.engine.start()
    own.engine.wait_ready()
    # The gateway's breaker may still be open, and each list of the view has a button of its own.
    wait_until(lambda: _is_well(visitor))


def _is_well(visitor: Visitor) -> bool:
    again = visitor.button("try-again")
    if again.count() and again.is_enabled():
        again.click()
        visitor.page.wait_for_timeout(1000)
    return visitor.page.locator(".failure").count() == 0
