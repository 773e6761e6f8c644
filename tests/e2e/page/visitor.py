"""A person at the page: what they read, choose and click, by names that a screen reader has too."""

import re
from pathlib import Path

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, expect

from cqox.contract.messages import Language, template
from cqox.contract.messages.catalogs import fill
from tests.waiting import PATIENCE_SECONDS

__all__ = ["Visitor"]

_NOTHING = r"(?!)"
_ISOLATES = re.compile("[\u2066-\u2069]")
expect.set_options(timeout=PATIENCE_SECONDS * 1000)


class Visitor:
    """One browser profile with one tab, or several.

    Attributes:
        context: the profile.
        page: the tab in use.
        language: language of the reader.
        errors: what any tab logged as an error.
        clicks: number of clicks and choices so far.
        expected: messages that are no errors, as a browser logs every request that fails.
    """

    def __init__(self, context: BrowserContext, shots: Path, language: Language) -> None:
        self.context = context
        self.language = language
        self.errors: list[str] = []
        self.clicks = 0
        self.expected = _NOTHING
        self._shots = shots
        self.page = self.tab()

    def tab(self) -> Page:
        """Open another tab."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    def allow_failed_requests(self) -> None:
        """Expect answers with an error and lost connections from here on; not errors of the page itself."""
        self.expected = "Failed to load resource"

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not re.search(self.expected, message.text):
            self.errors.append(f"{message.text} {message.location.get('url', '')}")

    def goto(self, path: str) -> None:
        """Open an address, and wait for its heading."""
        self.page.goto(path)
        self.heading()

    def heading(self) -> str:
        """Return the heading once there is one."""
        heading = self.page.get_by_role("heading", level=1)
        heading.wait_for()
        return heading.inner_text()

    def text(self, code: str, **values: object) -> str:
        """Return a sentence of the page in the language of the reader."""
        found = template(self.language, f"page.{code}")
        assert found is not None, code
        return fill(found, values) if values else found

    def button(self, code: str, **values: object) -> Locator:
        return self.page.get_by_role("button", name=self.text(code, **values)).first

    def click(self, code: str, **values: object) -> None:
        self.clicks += 1
        self.button(code, **values).click()

    def follow(self, target: str) -> None:
        """Click the first link to an address."""
        self.clicks += 1
        self.page.locator(f'a[href="{target}"]').first.click()

    def choose(self, code: str, option: str) -> None:
        """Choose an option of the list with this label."""
        self.clicks += 1
        self.page.get_by_label(self.text(code), exact=True).select_option(option)

    def upload(self, *paths: Path) -> None:
        self.clicks += 1
        self.page.set_input_files("#file", paths)

    def sample(self, name: str) -> None:
        """Open a sample, and wait for its preview."""
        self.goto("/")
        self.follow(f"/d/{name}")
        self.preview()

    def preview(self) -> str:
        """Return the design in words once the preview has come."""
        statement = self.page.locator("#preview .statement")
        statement.wait_for()
        return self.plain(statement)

    def apply_remedies(self) -> None:
        """Click every remedy of the data; one that reads the file again leads to another data set.

        Raises:
            AssertionError: they do not end.
        """
        for _ in range(8):
            buttons = self.page.locator("#data .findings button")
            self.page.locator("#preview .statement, #preview .findings").first.wait_for()
            if buttons.count() == 0:
                return
            before, count = self.page.url, buttons.count()
            self.clicks += 1
            buttons.first.click()
            self.page.wait_for_function(
                "([url, count]) => location.href !== url"
                " || document.querySelectorAll('#data .findings button').length < count",
                arg=[before, count],
            )
        raise AssertionError("remedies do not end")

    def answer(self) -> str:
        """Start the analysis, wait for its answer and return its id."""
        self.click("run")
        return self.arrive()

    def arrive(self) -> str:
        """Wait for an answer and return its id."""
        self.page.wait_for_url("**/a/*")
        self.page.locator(".verdict").wait_for()
        return self.page.url.rsplit("/", 1)[1].split("?")[0]

    def draw(self) -> None:
        """Wait until the first figure is drawn."""
        figure = self.page.locator(".figure").first
        figure.scroll_into_view_if_needed()
        figure.locator("svg").first.wait_for()

    def plain(self, place: Locator) -> str:
        """Return the text of a place without marks of direction."""
        return _ISOLATES.sub("", place.inner_text())

    def shoot(self, name: str) -> None:
        """Keep a screenshot of the whole page."""
        self._shots.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._shots / f"{self.language}-{name}.png", full_page=True)
