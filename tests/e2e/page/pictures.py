"""Pictures of the page for the documentation: `python -m tests.e2e.page.pictures [FOLDER]`.

Real services and a real Chromium go from a workbook to an answer, in each language; the workbook is that of the tests.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from cqox.contract.messages import LANGUAGES, Language
from tests.e2e.page.visitor import Visitor
from tests.e2e.page.workbooks import ENGLISH, JAPANESE, sales_workbook
from tests.e2e.stack import build
from tests.servers.browser import running_browser

__all__ = ["FOLDER", "NAMES", "main", "pictures"]

FOLDER = Path(__file__).parents[3] / "docs" / "images"
NAMES = ("findings", "preview", "answer", "dashboard")
"""Names of the pictures, each `page-LANGUAGE-NAME.png`."""
_WIDTH, _HEIGHT = 1000, 820
_COLORS = 64
_SAMPLED_MILLISECONDS = 25_000
_WORKBOOKS = {"en": ("sales.xlsx", ENGLISH), "ja": ("売上.xlsx", JAPANESE)}


def pictures(browser: Browser, url: str, language: Language, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Go from a workbook to its answer; yield name and PNG of each picture.

    Args:
        browser: a running Chromium.
        url: address of a gateway.
        language: that of page and workbook.
        folder: gets the workbook.
    """
    name, words = _WORKBOOKS[language]
    context = browser.new_context(locale=language, viewport={"width": _WIDTH, "height": _HEIGHT}, base_url=url)
    try:
        visitor = Visitor(context, folder, language)
        visitor.goto("/")
        visitor.upload(sales_workbook(folder / name, words))
        visitor.page.wait_for_url("**/d/*")
        visitor.page.locator("#data .findings").wait_for()
        yield "findings", _picture(visitor, "h1")
        visitor.apply_remedies()
        visitor.preview()
        yield "preview", _picture(visitor, "#preview")
        visitor.answer()
        visitor.draw()
        yield "answer", _picture(visitor, "h1")
        # Two samples, ten seconds apart, are the first rate.
        visitor.page.wait_for_timeout(_SAMPLED_MILLISECONDS)
        visitor.goto("/dashboard?range=900&refresh=0")
        for panel in ("routes", "durations"):
            # Only what is in the window is asked for.
            visitor.page.locator(f"#panel-{panel}").scroll_into_view_if_needed()
            visitor.page.locator(f"#panel-{panel} .chart svg").wait_for()
        yield "dashboard", _picture(visitor, "#requests")
    finally:
        context.close()


def _picture(visitor: Visitor, top: str) -> bytes:
    """Return the window as PNG, from a place of the page on."""
    visitor.page.evaluate(
        "top => scrollTo(0, document.querySelector(top).getBoundingClientRect().top + scrollY - 16)", top
    )
    image = Image.open(BytesIO(visitor.page.screenshot(animations="disabled"))).convert("RGB")
    file = BytesIO()
    image.quantize(_COLORS, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return file.getvalue()


def main(arguments: Sequence[str], write: Callable[[str], object] = print) -> int:
    """Write the pictures of every language into a folder."""
    into = Path(arguments[0]) if arguments else FOLDER
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running_browser() as browser:
        stack = build(Path(folder))
        stack.engine.start()
        stack.gateway.start()
        try:
            stack.engine.wait_ready()
            stack.gateway.wait_ready()
            for language in LANGUAGES:
                for name, picture in pictures(browser, stack.gateway.url, language, Path(folder)):
                    path = into / f"page-{language}-{name}.png"
                    path.write_bytes(picture)
                    write(f"{path}: {len(picture):,} bytes")
        finally:
            stack.gateway.kill()
            stack.engine.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
