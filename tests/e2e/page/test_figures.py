"""Figures drawn in the browser, those of the server where that fails, and both as files."""

from playwright.sync_api import expect

from tests.e2e.page.conftest import Visitors
from tests.e2e.stack import Stack


def test_every_figure_is_drawn_here_and_saved_as_svg_and_png(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url, "ja")
    pictures: list[str] = []
    visitor.page.on("request", lambda request: pictures.append(request.url) if request.url.endswith(".svg") else None)
    visitor.sample("mini_retail")
    visitor.answer()
    visitor.draw()
    visitor.page.locator("#figures-title ~ p button").click()
    figures = visitor.page.locator(".figure")
    for figure in figures.all():
        figure.scroll_into_view_if_needed()
        expect(figure.locator("svg").first).to_be_visible()
    assert figures.count() > 5
    beginnings = {"SVG": b"<svg", "PNG": b"\x89PNG"}
    for name, beginning in beginnings.items():
        with visitor.page.expect_download() as download:
            figures.last.get_by_role("button", name=name).click()
        assert download.value.path().read_bytes().startswith(beginning)
        assert download.value.suggested_filename.endswith(name.lower())
    assert not [url for url in pictures if "/figures/" in url]


def test_without_its_own_drawing_the_page_shows_that_of_the_server(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.allow_failed_requests()
    visitor.page.route("**/vendor/vega.js", lambda route: route.abort())
    visitor.sample("test")
    visitor.answer()
    figure = visitor.page.locator(".figure").first
    figure.scroll_into_view_if_needed()
    expect(figure.locator("img")).to_be_visible()
    assert figure.locator("img").evaluate("one => one.complete && one.naturalWidth > 200")
    for name, beginning in {"SVG": b"<svg", "PNG": b"\x89PNG"}.items():
        with visitor.page.expect_download() as download:
            figure.get_by_role("button", name=name).click()
        assert download.value.path().read_bytes()[:200].lstrip().startswith(beginning)


def test_without_any_drawing_the_page_says_so(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.allow_failed_requests()
    visitor.page.route("**/vendor/vega.js", lambda route: route.abort())
    visitor.page.route("**/figures/**", lambda route: route.fulfill(status=500, body="<html>"))
    visitor.sample("test")
    visitor.answer()
    figure = visitor.page.locator(".figure").first
    figure.scroll_into_view_if_needed()
    expect(figure).to_contain_text(visitor.text("figure-failed"))
