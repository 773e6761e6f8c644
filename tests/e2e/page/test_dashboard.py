"""The dashboard in a real Chromium: both languages, a desk and a phone, live, by keys, and one panel alone."""

import re
import time

import pytest

from cqox.contract.messages import LANGUAGES, Language, template
from cqox.dashboards.analyses import ANALYSIS
from cqox.dashboards.operations import OPERATIONS
from tests.e2e.page.conftest import Visitors
from tests.e2e.page.visitor import Visitor
from tests.e2e.stack import Stack

QUESTION = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w", "unit_id": "id", "covariates": ["x1", "x2"]}}
SAMPLED = 24.0
"""Seconds in which a process takes two samples."""


@pytest.fixture(scope="module")
def url(page_stack: Stack) -> str:
    """The address of a gateway after some work."""
    with page_stack.client() as client:
        end, seed = time.monotonic() + SAMPLED, 0
        while time.monotonic() < end:
            seed += 1
            client.post("/api/analyze/comprehensive", json={**QUESTION, "options": {"seed": seed}})
            client.get("/api/datasets/none")
            time.sleep(0.5)
    return page_stack.gateway.url


def read_all(visitor: Visitor) -> None:
    """Look at every panel until it shows something or says why not."""
    for panel in OPERATIONS.panels:
        frame = visitor.page.locator(f"#panel-{panel.id}")
        frame.scroll_into_view_if_needed()
        frame.locator(".chart svg, .stats, .nothing").first.wait_for()


def read_analyses(visitor: Visitor) -> None:
    """Look at every panel about analyses until it shows something or says why not."""
    for panel in ANALYSIS.panels:
        frame = visitor.page.locator(f"#panel-{panel.id}")
        frame.scroll_into_view_if_needed()
        frame.locator(".chart svg, .stats, .bars, table, .nothing").first.wait_for()


def overflow(visitor: Visitor) -> int:
    found = visitor.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("width", "height"), [(1400, 900), (360, 780)], ids=["desk", "phone"])
def test_every_panel_is_drawn_or_says_why_not(
    visitors: Visitors, url: str, language: Language, width: int, height: int
) -> None:
    visitor = visitors.enter(url, language, width=width, height=height, dark=language == "ja" and width > 400)
    visitor.goto("/dashboard?range=900&refresh=0")
    title = template(language, "dashboards.operations-title")
    visitor.page.get_by_role("heading", level=1, name=title, exact=True).wait_for()
    read_all(visitor)
    assert overflow(visitor) == 0
    titles = visitor.page.locator(".panel h3").all_inner_texts()
    assert titles == [panel.title.in_language(language) for panel in OPERATIONS.panels]
    assert visitor.page.locator(".panel .failure").count() == 0
    drawn = visitor.page.locator(".panel .chart svg, .panel .stats").count()
    assert drawn > len(OPERATIONS.panels) * 0.75
    visitor.shoot(f"dashboard-{width}")


@pytest.mark.parametrize(("language", "width"), [("en", 1400), ("ja", 360)])
def test_panels_about_analyses_are_drawn_and_lead_to_reports(
    visitors: Visitors, url: str, language: Language, width: int
) -> None:
    visitor = visitors.enter(url, language, width=width)
    visitor.goto("/dashboard/analysis?range=86400&refresh=0")
    visitor.page.locator(".panel").first.wait_for()
    read_analyses(visitor)
    assert overflow(visitor) == 0
    assert visitor.page.locator(".panel .failure").count() == 0
    assert visitor.page.locator(".panel .nothing").count() < len(ANALYSIS.panels) / 2
    visitor.shoot(f"analyses-{width}")
    visitor.page.locator('.panel td a[href^="/a/"]').first.click()
    visitor.arrive()


def test_a_panel_alone_has_its_address_its_values_by_keys_and_as_a_table(visitors: Visitors, url: str) -> None:
    visitor = visitors.enter(url)
    visitor.goto("/dashboard/operations?range=900&refresh=0")
    visitor.page.get_by_role("link", name="Time to answer", exact=True).click()
    visitor.page.wait_for_url("**panel=durations**")
    assert visitor.page.locator(".panel").count() == 1
    chart = visitor.page.locator(".chart")
    chart.locator("svg").wait_for()
    newest = visitor.plain(visitor.page.locator(".legend"))
    chart.focus()
    visitor.page.keyboard.press("ArrowLeft")
    visitor.page.locator(".chart .cursor").wait_for(state="attached")
    assert visitor.text("newest") in newest
    assert visitor.text("newest") not in visitor.plain(visitor.page.locator(".legend"))
    visitor.page.keyboard.press("Escape")
    assert visitor.page.locator(".chart .cursor").count() == 0
    visitor.button("as-table").click()
    table = visitor.page.get_by_role("table")
    assert table.locator("tbody tr").count() == 6
    assert "median cqox-gateway" in table.inner_text()
    visitor.page.reload()
    visitor.heading()
    visitor.page.locator(".panel").first.wait_for()
    assert visitor.page.locator(".panel").count() == 1
    visitor.page.get_by_role("link", name=visitor.text("all-panels")).click()
    visitor.page.locator("#panel-answering").wait_for()


def test_a_line_is_hidden_and_a_service_chosen(visitors: Visitors, url: str) -> None:
    visitor = visitors.enter(url)
    visitor.goto("/dashboard/operations?panel=memory&range=900&refresh=0")
    lines = visitor.page.locator(".chart path.line")
    lines.first.wait_for()
    assert lines.count() == 2
    visitor.page.locator(".legend button").first.click()
    visitor.page.wait_for_function("() => document.querySelectorAll('.chart path.line').length === 1")
    visitor.page.locator(".legend button").first.click()
    visitor.choose("service", "cqox-engine")
    visitor.page.wait_for_function("() => document.querySelectorAll('.legend li').length === 1")
    assert "job=cqox-engine" in visitor.page.url
    assert "cqox-engine" in visitor.plain(visitor.page.locator(".legend"))


def test_it_goes_on_by_itself(visitors: Visitors, url: str) -> None:
    visitor = visitors.enter(url)
    visitor.goto("/dashboard/operations?panel=answering&range=900&refresh=10")
    with visitor.page.expect_response("**/panels/answering**"):
        visitor.page.locator(".stats").wait_for()
    with visitor.page.expect_response("**/panels/answering**") as later:
        pass
    assert later.value.ok


@pytest.mark.parametrize(("board", "width"), [("operations", 360), ("analysis", 1400)])
def test_a_span_between_two_moments_is_asked_for_and_kept_in_the_address(
    visitors: Visitors, url: str, board: str, width: int
) -> None:
    visitor = visitors.enter(url, width=width)
    panel = {"operations": "memory", "analysis": "analyses"}[board]
    visitor.goto(f"/dashboard/{board}?panel={panel}&refresh=0")
    visitor.choose("time-range", "chosen")
    end = visitor.page.get_by_label(visitor.text("range-to"), exact=True)
    second = visitor.page.evaluate("new Date('2025-01-01T12:00').getTime() / 1000")
    with visitor.page.expect_request(f"**/panels/{panel}?**to={second}.000*"):
        visitor.page.get_by_label(visitor.text("range-from"), exact=True).fill("2024-12-31T12:00")
        end.fill("2025-01-01T12:00")
    visitor.page.wait_for_url(f"**to={second}**")
    visitor.page.locator(".panel .nothing").wait_for()
    assert overflow(visitor) == 0
    visitor.page.reload()
    visitor.page.locator(".panel .nothing").wait_for()
    assert end.input_value() == "2025-01-01T12:00"
    end.fill("2024-12-31T12:00")
    visitor.page.get_by_role("alert").get_by_text(visitor.text("range-empty")).wait_for()
    assert visitor.page.locator(".panel").count() == 0
    visitor.choose("time-range", "86400")
    visitor.page.locator(".panel .chart svg, .panel .nothing").first.wait_for()
    assert "from=" not in visitor.page.url


def test_five_years_of_analyses_have_years_on_their_axis(visitors: Visitors, url: str) -> None:
    visitor = visitors.enter(url)
    visitor.goto("/dashboard/analysis?panel=analyses&range=157766400&refresh=0")
    visitor.page.locator(".chart svg").wait_for()
    marks = visitor.page.locator(".chart text.tick[text-anchor=middle]").all_text_contents()
    assert len(marks) >= 3
    assert all(re.fullmatch(r"\d{1,2}/\d{4}", mark) for mark in marks), marks


@pytest.mark.parametrize(
    ("most", "marks"),
    [
        (0.3, [0, 0.1, 0.2, 0.3]),
        (90, [0, 30, 60, 90]),
        (90_000, [0, 43_200, 86_400]),
        (3.4e6, [0, 864e3, 1728e3, 2592e3]),
    ],
)
def test_an_axis_of_times_has_round_times(
    visitors: Visitors, page_stack: Stack, most: float, marks: list[float]
) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    found = visitor.page.evaluate(
        "most => import('/page/js/units.js').then(({ marks }) => marks(0, most, 'seconds'))", most
    )
    assert found == pytest.approx(marks)
