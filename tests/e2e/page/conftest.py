"""A browser on the page of a running gateway; what it logs as an error fails the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.page.visitor import Visitor
from tests.e2e.stack import Stack, running_stack
from tests.servers.browser import running_browser

SHOTS = Path(__file__).parents[3] / "build" / "page"
"""Folder of the screenshots, to be looked at."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture(scope="module")
def page_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Both services for the tests of a file, with share links."""
    with running_stack(tmp_path_factory.mktemp("page"), CQOX_SHARE_LINKS="on") as made:
        yield made


@pytest.fixture
def visitors(browser: Browser, request: pytest.FixtureRequest) -> Iterator["Visitors"]:
    made = Visitors(browser, request.node.name)
    try:
        yield made
    finally:
        made.close()


class Visitors:
    """Visitors of the page, each with a browser profile of its own."""

    def __init__(self, browser: Browser, test: str) -> None:
        self._browser = browser
        self._test = test
        self._all: list[Visitor] = []

    def enter(
        self, url: str, language: str = "en", *, width: int = 1200, height: int = 900, dark: bool = False
    ) -> Visitor:
        """Open the page at its first view."""
        scheme = "dark" if dark else "light"
        context = self._browser.new_context(
            locale=language,
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            accept_downloads=True,
            base_url=url,
        )
        shots = SHOTS / self._test.replace("/", "-")
        visitor = Visitor(context, shots, language)
        self._all.append(visitor)
        visitor.goto("/")
        return visitor

    def close(self) -> None:
        for visitor in self._all:
            visitor.context.close()
        for visitor in self._all:
            assert not visitor.errors, visitor.errors
