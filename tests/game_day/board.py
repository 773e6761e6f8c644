"""The operations board in a real Chromium: what it says now, and pictures of it at two sizes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from cqox.dashboards.operations import OPERATIONS
from tests.servers.browser import running_browser
from tests.waiting import PATIENCE_SECONDS

__all__ = ["SIZES", "Board", "Picture", "open_board"]

SIZES: Mapping[str, tuple[int, int]] = {"desk": (1400, 900), "phone": (390, 844)}
"""Width and height of a window, by its name."""

_COLORS = 128
_FIRST_ROWS = ("now",)
_DRAWN = ".chart svg, .stats, .nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One PNG.

    Attributes:
        file: its name in the folder of the page.
        size: a name of `SIZES`.
        of: the row of the board at its top.
    """

    file: str
    size: str
    of: str


@dataclass
class Board:
    """The board, opened again for each look.

    Attributes:
        url: address of the gateway.
        folder: gets the pictures.
        errors: what the page logged as an error.
    """

    url: str
    folder: Path
    errors: list[str]
    _browser: Browser

    def shoot(self, name: str, rows: Sequence[str], sizes: Sequence[str]) -> list[Picture]:
        """Take pictures of rows of the board."""
        pictures = []
        for size in sizes:
            with self._page(size) as page:
                for row in rows:
                    file = f"{name}-{row}-{size}.png"
                    self._look_at(page, row)
                    (self.folder / file).write_bytes(_compressed(page.screenshot(animations="disabled")))
                    pictures.append(Picture(file=file, size=size, of=row))
        return pictures

    def numbers(self) -> dict[str, str]:
        """Return what each panel of the first row says, by its title."""
        with self._page("desk") as page:
            self._look_at(page, *_FIRST_ROWS)
            return {
                panel.title: " ".join(page.locator(f"#panel-{panel.id}").locator(_DRAWN).first.inner_text().split())
                for row in OPERATIONS.rows
                if row.id in _FIRST_ROWS
                for panel in row.panels
            }

    @staticmethod
    def _look_at(page: Page, row: str) -> None:
        # Only panels near the window ask for their data, and grow when they have them: those above move the row.
        page.wait_for_function(
            """([row, drawn]) => {
                const before = scrollY;
                scrollTo(0, document.getElementById(row).getBoundingClientRect().top + scrollY - 12);
                return scrollY === before && [...document.querySelectorAll('.panel')].every((panel) => {
                    const { top, bottom } = panel.getBoundingClientRect();
                    return bottom < -200 || top > innerHeight + 200 || panel.querySelector(drawn) !== null;
                });
            }""",
            arg=[row, _DRAWN],
        )

    @contextmanager
    def _page(self, size: str) -> Iterator[Page]:
        width, height = SIZES[size]
        context = self._browser.new_context(
            locale="en",
            viewport={"width": width, "height": height},
            base_url=self.url,
            # The board is looked at while its own certificate has expired, as people then do.
            ignore_https_errors=True,
        )
        try:
            page = context.new_page()
            page.set_default_timeout(PATIENCE_SECONDS * 1000)
            page.on("pageerror", lambda error: self.errors.append(str(error)))
            page.goto("/dashboard/operations?range=900&refresh=0")
            page.locator(".panel").first.wait_for()
            yield page
        finally:
            context.close()


@contextmanager
def open_board(url: str, folder: Path) -> Iterator[Board]:
    """Open a Chromium for the board of a gateway."""
    folder.mkdir(parents=True, exist_ok=True)
    with running_browser() as browser:
        yield Board(url, folder, [], browser)


def _compressed(png: bytes) -> bytes:
    file = BytesIO()
    image = Image.open(BytesIO(png)).convert("RGB").quantize(_COLORS, dither=Image.Dither.NONE)
    image.save(file, "png", optimize=True)
    return file.getvalue()
