"""The page of services that need an API key: it asks for one, keeps the place, and keeps the key in memory only."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.page.conftest import Visitors
from tests.e2e.stack import Stack, running_stack


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("sign-in")
    with running_stack(folder, CQOX_AUTH="keys", CQOX_HOP_KEY="a-secret-of-the-two-services-of-this-test") as made:
        yield made


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_asks_for_a_key_and_goes_on_where_it_was(visitors: Visitors, keyed: Stack, language: str) -> None:
    data_dir = keyed.engine.environment["CQOX_DATA_DIR"]
    command = [Path(sys.executable).with_name("cqox"), "keys", "create", "--role", "reader"]
    made = subprocess.run(
        command, env={**os.environ, "CQOX_DATA_DIR": data_dir}, capture_output=True, text=True, check=True
    )
    visitor = visitors.enter(keyed.gateway.url, language)
    visitor.allow_failed_requests()
    visitor.errors.clear()
    page = visitor.page
    field = page.locator("#key")
    field.wait_for()
    assert visitor.text("key-help") in page.locator("#key-help").inner_text()
    field.fill("cqox_nonsense")
    visitor.click("key-use")
    page.get_by_text(visitor.text("key-refused")).wait_for()
    page.locator("#key").fill(made.stdout.strip())
    visitor.click("key-use")
    page.locator("#key").wait_for(state="detached")
    visitor.shoot("signed-in")
    visitor.follow("/d/test")
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert made.stdout.strip() not in kept
    # A reload begins again, at the same address.
    page.reload()
    page.locator("#key").wait_for()
