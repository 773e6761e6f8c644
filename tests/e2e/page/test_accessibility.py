"""Names, contrast and order for everybody: axe-core on every view, the keyboard alone, and every width."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.e2e.page.conftest import Visitors
from tests.e2e.page.visitor import Visitor
from tests.e2e.stack import Stack

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def violations(visitor: Visitor) -> list[str]:
    found = Axe().run(visitor.page, options=RULES).response["violations"]
    return [f"{each['id']}: {node['html'][:200]} {node['failureSummary']}" for each in found for node in each["nodes"]]


def unfold(visitor: Visitor) -> None:
    for summary in visitor.page.locator("summary").all():
        summary.evaluate("node => (node.parentElement.open = true)")


@pytest.mark.parametrize(("language", "dark"), [("en", False), ("ja", True)])
def test_no_view_violates_a_rule_of_axe(page_stack: Stack, visitors: Visitors, language: str, dark: bool) -> None:
    visitor = visitors.enter(page_stack.gateway.url, language, dark=dark)
    found = {"start": violations(visitor)}
    visitor.sample("mini_retail")
    unfold(visitor)
    found["data set"] = violations(visitor)
    visitor.answer()
    visitor.draw()
    visitor.click("what-if-open")
    visitor.click("share-create")
    visitor.page.get_by_label(visitor.text("share-link"), exact=True).wait_for()
    visitor.click("add-notes")
    visitor.page.get_by_role("button", name=visitor.text("gates-others", count=17)).click()
    unfold(visitor)
    found["answer"] = violations(visitor)
    visitor.shoot("unfolded")
    visitor.goto("/history")
    visitor.page.get_by_role("table").first.wait_for()
    found["history"] = violations(visitor)
    visitor.click("delete")
    found["question"] = violations(visitor)
    assert not any(found.values()), found


def focused(visitor: Visitor) -> str:
    """Return the name of what has the focus, as a screen reader says it."""
    return visitor.page.evaluate(
        "() => { const one = document.activeElement;"
        " return one.getAttribute('aria-label') ?? one.labels?.[0]?.innerText ?? one.innerText; }"
    ).strip()


def tab_to(visitor: Visitor, name: str, most: int = 120) -> None:
    for _ in range(most):
        if focused(visitor).startswith(name):
            return
        visitor.page.keyboard.press("Tab")
    raise AssertionError(f"{name} is not reached by the keyboard; last {focused(visitor)!r}")


def test_the_keyboard_alone_leads_from_a_sample_to_an_answer(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.page.get_by_text("mini_retail").first.wait_for()
    assert focused(visitor) == visitor.text("start-title")
    tab_to(visitor, "test")
    visitor.page.keyboard.press("Enter")
    visitor.preview()
    tab_to(visitor, visitor.text("role-treatment"))
    visitor.page.keyboard.press("ArrowDown")
    visitor.page.keyboard.press("ArrowUp")
    # Tab reaches the chosen button of a group, and arrows choose another: after the last comes the first.
    tab_to(visitor, visitor.text("assignment-unknown")[:6])
    visitor.page.keyboard.press("ArrowDown")
    assert visitor.page.get_by_role("radio", name=visitor.text("assignment-randomized")).is_checked()
    tab_to(visitor, visitor.text("run"))
    visitor.page.keyboard.press("Enter")
    visitor.arrive()
    assert focused(visitor) == visitor.heading()
    tab_to(visitor, "PowerPoint")
    with visitor.page.expect_download():
        visitor.page.keyboard.press("Enter")


@pytest.mark.parametrize(("width", "height"), [(360, 740), (3840, 2160)])
def test_nothing_is_wider_than_the_window(page_stack: Stack, visitors: Visitors, width: int, height: int) -> None:
    visitor = visitors.enter(page_stack.gateway.url, "ja", width=width, height=height)

    def overflow() -> list[str]:
        return visitor.page.evaluate(
            "() => [...document.querySelectorAll('body *')].filter((one) => !one.closest('.scroll, .checks, .plot')"
            " && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 200))"
        )

    assert not overflow()
    visitor.sample("mini_retail")
    unfold(visitor)
    assert not overflow()
    visitor.shoot(f"{width}-data-set")
    visitor.answer()
    visitor.draw()
    visitor.click("what-if-open")
    visitor.page.locator("#what-if-y").wait_for()
    unfold(visitor)
    assert not overflow()
    visitor.shoot(f"{width}-answer")
    visitor.goto("/history")
    assert not overflow()
