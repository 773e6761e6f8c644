"""A real Chromium for the tests of the page, without connections of its own to other hosts."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

__all__ = ["browser_path", "running_browser"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def browser_path() -> str | None:
    """Return the path of a Chromium: that of the variable `CHROMIUM`, one on PATH, or Playwright's own."""
    for name in (os.environ.get("CHROMIUM", ""), *_NAMES):
        if name and (found := shutil.which(name)):
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run a Chromium without windows.

    Raises:
        AssertionError: there is none.
    """
    path = browser_path()
    assert path is not None, "there is no Chromium: install it, or name one in CHROMIUM"
    # The sandbox of Chromium refuses to run as root.
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*_QUIET, *sandbox])
        try:
            yield browser
        finally:
            browser.close()
