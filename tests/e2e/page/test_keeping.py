"""Nothing a person has entered is lost, and answers that break are said: languages, other tabs, proxies, folders."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.page.conftest import Visitors
from tests.e2e.page.visitor import Visitor
from tests.e2e.stack import Stack


def switch(visitor: Visitor) -> None:
    """Switch to the other language, and wait until the page speaks it."""
    visitor.language = "en" if visitor.language == "ja" else "ja"
    visitor.page.locator(f".languages [lang={visitor.language}]").click()
    visitor.page.locator(f"html[lang={visitor.language}]").wait_for()


def test_a_switch_of_language_keeps_what_is_being_filled_in(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.sample("test")
    visitor.choose("more-roles", visitor.text("role-dose"))
    visitor.page.get_by_label(visitor.text("role-dose"), exact=True).wait_for()
    switch(visitor)
    visitor.page.get_by_label(visitor.text("role-dose"), exact=True).wait_for()
    expect(visitor.page.locator("#preview .statement")).to_have_text(re.compile("[ぁ-ん]"))
    visitor.answer()
    visitor.click("share-create")
    link = visitor.page.locator("#share-link")
    address = link.input_value()
    visitor.click("add-notes")
    visitor.page.locator("#title").fill("下書き")
    visitor.click("what-if-open")
    visitor.page.locator("#minimum-effect").fill("3")
    visitor.page.locator("#minimum-effect").blur()
    first = visitor.page.locator("#role-what-if").get_by_role("checkbox").first
    first.uncheck()
    switch(visitor)
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(re.compile("^[ -~]+$"))
    assert visitor.page.locator("#title").input_value() == "下書き"
    assert visitor.page.locator("#minimum-effect").input_value() == "3"
    assert link.input_value() == address
    expect(first).not_to_be_checked()
    assert visitor.page.evaluate("document.activeElement.lang") == "en"
    expect(visitor.page.locator(".figure figcaption").first).to_have_text(visitor.text("figure-forest"))


def test_the_last_choice_of_language_counts_and_a_failed_one_is_said(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    held: list[Route] = []
    visitor.page.route("**/page/text.ja.json", lambda route: held.append(route))
    with visitor.page.expect_request("**/page/text.ja.json"):
        visitor.page.locator(".languages [lang=ja]").click()
    with visitor.page.expect_response("**/page/text.en.json"):
        visitor.page.locator(".languages [lang=en]").click()
    with visitor.page.expect_response("**/page/text.ja.json"):
        held[0].continue_()
    visitor.page.unroute_all()
    visitor.follow("/history")
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(visitor.text("history"))
    visitor.allow_failed_requests()
    visitor.page.route("**/page/text.ja.json", lambda route: route.abort())
    visitor.page.locator(".languages [lang=ja]").click()
    expect(visitor.page.locator(".failure")).to_contain_text(visitor.text("problem-connection"))


def test_the_history_fits_a_phone(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url, width=360)
    visitor.sample("test")
    visitor.answer()
    visitor.goto("/history")
    visitor.page.get_by_role("table").first.wait_for()
    assert visitor.page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_checked_column_stays_in_its_place_with_the_focus(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.sample("test")
    boxes = visitor.page.locator("#role-covariates").get_by_role("checkbox")
    names = visitor.page.locator("#role-covariates li").all_inner_texts()
    boxes.last.focus()
    visitor.page.keyboard.press("Space")
    expect(boxes.last).to_be_checked()
    expect(boxes.last).to_be_focused()
    assert visitor.page.locator("#role-covariates li").all_inner_texts() == names


def test_a_column_of_an_instrument_is_no_covariate(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.sample("test")
    covariate = visitor.page.locator("#role-covariates li").first
    expect(covariate.get_by_role("checkbox")).to_be_checked()
    name = covariate.inner_text().strip()
    visitor.choose("more-roles", visitor.text("role-instrument"))
    visitor.page.locator("#role-instrument").get_by_role("checkbox", name=name, exact=True).check()
    expect(visitor.page.locator("#role-covariates").get_by_role("checkbox", name=name, exact=True)).not_to_be_checked()


BROKEN: dict[str, Callable[[Route], None]] = {
    "cut": lambda route: route.fulfill(status=200, content_type="application/json", body='{"analyses": ['),
    "proxy": lambda route: route.fulfill(status=200, content_type="text/html", body="<html>Sign in</html>"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_answer_that_cannot_be_read_is_said_and_asked_again(
    page_stack: Stack, visitors: Visitors, kind: str
) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.page.route("**/api/analyses?*", BROKEN[kind])
    visitor.goto("/history")
    failure = visitor.page.locator(".failure")
    expect(failure).to_contain_text(visitor.text("problem-answer"))
    expect(failure).to_contain_text(visitor.text("problem-answer-detail"))
    visitor.shoot(kind)
    visitor.page.unroute_all()
    visitor.click("try-again")
    expect(failure).to_have_count(0)


def test_a_run_that_is_refused_is_said_at_its_button(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.allow_failed_requests()
    visitor.sample("test")

    def refuse(route: Route) -> None:
        route.fulfill(status=500, content_type="text/html", body="<html>")

    visitor.page.route("**/api/analyze/comprehensive", refuse)
    visitor.click("run")
    expect(visitor.page.locator("#run .failure")).to_be_in_viewport()
    visitor.page.unroute_all()
    visitor.answer()


def test_following_a_run_that_fails_can_be_tried_again(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.allow_failed_requests()
    visitor.sample("test")
    visitor.page.route("**/api/jobs/**", lambda route: route.fulfill(status=500, body="{}"))
    visitor.click("run")
    expect(visitor.page.locator(".failure")).to_be_visible()
    visitor.page.unroute_all()
    visitor.click("try-again")
    visitor.arrive()


def test_what_another_tab_has_deleted_is_gone_without_an_error(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.sample("test")
    analysis_id = visitor.answer()
    visitor.goto("/history")
    row = visitor.page.get_by_role("row").filter(has=visitor.page.locator(f'a[href="/a/{analysis_id}"]'))
    row.get_by_role("button").click()
    with page_stack.client() as api:
        api.delete(f"/api/analyses/{analysis_id}").raise_for_status()
    visitor.expected = "404"
    visitor.page.get_by_role("dialog").get_by_role("button", name=visitor.text("delete"), exact=True).click()
    expect(row).to_have_count(0)
    expect(visitor.page.get_by_role("dialog")).to_have_count(0)


def test_a_file_that_changed_after_it_was_chosen_is_said_also_elsewhere(
    page_stack: Stack, visitors: Visitors, tmp_path: Path
) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.allow_failed_requests()
    path = tmp_path / "moved.csv"
    path.write_text("y,w\n" + "1,0\n2,1\n" * 50)
    held: list[Route] = []
    visitor.page.route("**/api/uploads", lambda route: held.append(route))
    with visitor.page.expect_request("**/api/uploads"):
        visitor.upload(path)
    visitor.follow("/history")
    visitor.heading()
    path.unlink()
    held[0].continue_()
    visitor.page.wait_for_function("Object.keys(localStorage).every((key) => !key.startsWith('cqox.upload.'))")
    visitor.follow("/")
    expect(visitor.page.locator(".failure")).to_contain_text("moved.csv")
    expect(visitor.page.locator(".failure")).to_contain_text(visitor.text("upload-unreadable-title"))


def test_a_fault_of_the_page_itself_is_said(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.sample("test")
    visitor.expected = "fault of a test"
    visitor.page.evaluate("() => void setTimeout(() => Promise.reject(new Error('a fault of a test')))")
    expect(visitor.page.locator(".failure")).to_contain_text(visitor.text("problem-page"))
    assert visitor.page.locator("header").count() == 0
    visitor.click("try-again")
    visitor.preview()
    visitor.errors.clear()


def test_the_token_of_a_link_goes_nowhere_else(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.allow_failed_requests()
    visitor.goto("/s#nothing")
    tokens: list[str | None] = []
    visitor.page.on("request", lambda request: tokens.append(request.headers.get("share-token")))
    visitor.follow("/")
    visitor.page.locator(".cards").first.wait_for()
    assert len(tokens) >= 4
    assert set(tokens) == {None}


def test_the_requests_of_the_latest_jobs_are_kept_for_another_try(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.page.evaluate(
        "() => { for (let at = 0; at < 30; at += 1)"
        " localStorage.setItem(`cqox.job.${at}`, JSON.stringify({ at, request: {} })); }"
    )
    visitor.sample("test")
    visitor.answer()
    kept = visitor.page.evaluate("() => Object.keys(localStorage).filter((key) => key.startsWith('cqox.job.'))")
    assert {f"cqox.job.{at}" for at in range(11, 30)} < set(kept)
    assert len(kept) == 20


def test_what_will_be_refused_again_offers_no_other_try(page_stack: Stack, visitors: Visitors, tmp_path: Path) -> None:
    path = tmp_path / "levels.csv"
    path.write_text("y,group\n" + "".join(f"{row}.5,level {row % 60}\n" for row in range(600)), encoding="utf-8")
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.allow_failed_requests()
    visitor.upload(path)
    visitor.page.wait_for_url("**/d/*")
    visitor.choose("role-y", "y")
    visitor.choose("role-treatment", "group")
    failure = visitor.page.locator("#preview .failure")
    failure.wait_for()
    assert failure.get_by_role("button").count() == 0


def test_a_browser_that_keeps_nothing_still_answers(page_stack: Stack, visitors: Visitors, tmp_path: Path) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.context.add_init_script(
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };"
    )
    path = tmp_path / "trial.csv"
    path.write_text("y,w\n" + "".join(f"{(number * 7) % 11 + number % 2},{number % 2}\n" for number in range(300)))
    visitor.goto("/")
    visitor.upload(path)
    visitor.preview()
    first = visitor.page.url
    visitor.answer()
    # The same file again is the same data set.
    visitor.goto("/")
    visitor.upload(path)
    visitor.preview()
    assert visitor.page.url == first
