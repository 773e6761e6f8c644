"""The page of services that need an API key: it asks for one, keeps the place, and keeps the key in memory only."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from playwright.sync_api import Page

from tests.e2e.page.conftest import Visitors
from tests.e2e.stack import Stack, build, running_stack
from tests.servers.identity_provider import Client, IdentityProvider


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("sign-in")
    with running_stack(folder, CQOX_AUTH="keys", CQOX_HOP_KEY="a-secret-of-the-two-services-of-this-test") as made:
        yield made


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_asks_for_a_key_and_goes_on_where_it_was(visitors: Visitors, keyed: Stack, language: str) -> None:
    key = made_key(keyed, "reader")
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
    page.locator("#key").fill(key)
    visitor.click("key-use")
    page.locator("#key").wait_for(state="detached")
    visitor.shoot("signed-in")
    visitor.follow("/d/test")
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert key not in kept
    # A reload begins again, at the same address.
    page.reload()
    page.locator("#key").wait_for()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_logging_out_leaves_nothing_of_a_person_in_any_tab(visitors: Visitors, keyed: Stack, language: str) -> None:
    key = made_key(keyed, "analyst")
    visitor = visitors.enter(keyed.gateway.url, language)
    visitor.allow_failed_requests()
    visitor.errors.clear()
    page, second = visitor.page, visitor.tab()
    assert visitor.button("log-out").count() == 0, "nobody has said who they are"
    for tab in (page, second):
        if tab is second:
            tab.goto("/d/test")
        tab.locator("#key").fill(key)
        tab.get_by_role("button", name=visitor.text("key-use")).click()
        tab.get_by_role("button", name=visitor.text("log-out")).wait_for()
    visitor.page = second
    visitor.preview()
    visitor.choose("role-y", "x1")
    assert [name for name in kept_in(page) if name.startswith("cqox.draft")]
    visitor.page = page
    visitor.shoot("logged-in")
    visitor.click("log-out")
    for tab in (page, second):
        tab.locator("#key").wait_for()
        assert visitor.text("logged-out") in tab.locator("form").inner_text()
        assert tab.url == f"{keyed.gateway.url}/"
        assert tab.get_by_role("button", name=visitor.text("log-out")).count() == 0
    assert not [name for name in kept_in(page) if name != "cqox.language"]
    visitor.shoot("logged-out")
    page.locator("#key").fill(key)
    visitor.click("key-use")
    visitor.button("log-out").wait_for()
    page.reload()
    page.locator("#key").wait_for()
    assert visitor.text("logged-out") not in page.locator("form").inner_text(), "somebody has been here since"


def kept_in(page: Page) -> list[str]:
    names = page.evaluate("Object.keys(localStorage)")
    return [str(name) for name in names]


def made_key(stack: Stack, *roles: str) -> str:
    command = [str(Path(sys.executable).with_name("cqox")), "keys", "create"]
    for role in roles:
        command += ["--role", role]
    environment = {**os.environ, "CQOX_DATA_DIR": stack.engine.environment["CQOX_DATA_DIR"]}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def provided(tmp_path: Path) -> Iterator[Stack]:
    """Both services behind a real OpenID provider."""
    provider = IdentityProvider(
        clients=[], keys=[ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})]
    )
    stack = build(
        tmp_path,
        CQOX_AUTH="oidc",
        CQOX_HOP_KEY="a-secret-of-the-two-services-of-this-test",
        CQOX_OIDC_ISSUER=provider.issuer,
        CQOX_OIDC_AUDIENCE=provider.audience,
        CQOX_OIDC_CLIENT_ID="page",
    )
    claims = {"tenant": "default", "roles": ["analyst"]}
    provider.clients.append(Client(id="page", claims=claims, redirect_uri=f"{stack.gateway.url}/sign-in"))
    try:
        provider.start()
        for service in (stack.engine, stack.gateway):
            service.start()
        stack.engine.wait_ready()
        stack.gateway.wait_ready()
        yield stack
    finally:
        stack.gateway.kill()
        stack.engine.kill()
        provider.close()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_person_signs_in_at_the_provider_and_comes_back_to_the_place(
    visitors: Visitors, provided: Stack, language: str
) -> None:
    visitor = visitors.enter(provided.gateway.url, language)
    visitor.allow_failed_requests()
    visitor.errors.clear()
    page = visitor.page
    page.goto("/d/test?x=1")
    visitor.click("sign-in")
    page.locator("input[name=login]").fill("ada")
    page.locator("input[name=password]").fill("any")
    page.locator("button[type=submit]").click()
    page.locator("button[type=submit]").click()
    visitor.preview()
    assert page.url.endswith("/d/test?x=1")
    visitor.shoot("signed-in")
    analysis_id = visitor.answer()
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "eyJ" not in kept
    # A reload signs in again by the session at the provider, without a question, and keeps its place.
    page.evaluate("sessionStorage.setItem('cqox.sign-in', JSON.stringify({ done: true, at: 0 }))")
    page.reload()
    assert visitor.arrive() == analysis_id
    # Who logs out is not led back in by that session, and may end it.
    visitor.click("log-out")
    visitor.button("sign-in").wait_for()
    assert visitor.text("logged-out-provider") in page.locator("form").inner_text()
    visitor.shoot("logged-out")
    page.reload()
    visitor.button("sign-in").wait_for()
    page.get_by_role("link", name=visitor.text("log-out-provider")).click()
    page.locator("button[value=yes]").click()
    page.wait_for_url("**/session/end/success**")
    page.goto("/d/test")
    visitor.click("sign-in")
    page.locator("input[name=login]").wait_for()
    # An answer of the provider that nobody asked for.
    page.goto("/sign-in?code=x&state=y")
    page.get_by_text(visitor.text("sign-in-failed"), exact=True).wait_for()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_role_without_data_reads_a_sentence_and_no_errors(visitors: Visitors, keyed: Stack, language: str) -> None:
    key = made_key(keyed, "operator", "auditor")
    visitor = visitors.enter(keyed.gateway.url, language)
    visitor.allow_failed_requests()
    visitor.errors.clear()
    page = visitor.page
    page.locator("#key").fill(key)
    visitor.click("key-use")
    page.get_by_role("heading", name=visitor.text("no-data-title")).wait_for()
    shown = page.locator("main").inner_text()
    assert "operator" in shown
    assert "default" in shown
    assert visitor.text("no-data-help") in shown
    assert page.locator("main [role=alert]").count() == 0
    assert page.locator("main input").count() == 0
    page.get_by_role("link", name=visitor.text("history")).click()
    page.get_by_role("heading", name=visitor.text("no-data-title")).wait_for()
    visitor.shoot("no-data")
