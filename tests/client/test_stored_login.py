"""Stored sign-ins: private files, one for each server, renewed in turn; with a real provider in `tests/e2e`."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import anyio
import httpx
import pytest

from cqox.client import stored_login
from cqox.client.oauth import Granted, Metadata, TokenRefused
from cqox.client.stored_login import Login, StoredLogin, load, remove, save
from cqox.errors import NotAuthenticated

SERVER = "https://cqox.example.com"
LOGIN = Login(
    server=SERVER,
    issuer="https://id.example.com",
    client_id="cli",
    resource="cqox",
    access_token="first",
    refresh_token="refresh-1",
    ends_at=1000.0,
)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def test_a_sign_in_is_private_and_found_by_its_server_alone(environ: dict[str, str]) -> None:
    old = os.umask(0)
    try:
        path = save(LOGIN, environ)
    finally:
        os.umask(old)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)] == [0o600, 0o700]
    assert load(SERVER, environ) == LOGIN
    assert load("https://other.example.com", environ) is None
    assert "first" not in repr(LOGIN)
    assert "refresh-1" not in repr(LOGIN)
    assert remove(SERVER, environ)
    assert not remove(SERVER, environ)
    assert load(SERVER, environ) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"server": 1}', "\x00"])
def test_a_damaged_file_is_no_sign_in(environ: dict[str, str], content: str) -> None:
    save(LOGIN, environ).write_text(content)
    assert load(SERVER, environ) is None


class Renewing:
    """Stands in for the provider."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.forms: list[dict[str, str]] = []
        self.refuses = False
        monkeypatch.setattr(stored_login, "discover", self.discover)
        monkeypatch.setattr(stored_login, "ask_for_token", self.ask)

    async def discover(self, http: httpx.AsyncClient, issuer: str) -> Metadata:
        return Metadata(issuer=issuer, token_endpoint="", authorization_endpoint="", device_endpoint="")

    async def ask(self, http: httpx.AsyncClient, metadata: Metadata, form: dict[str, str]) -> Granted:
        self.forms.append(form)
        if self.refuses:
            raise TokenRefused(metadata.issuer, "invalid_grant")
        return Granted(access_token="second", seconds=600.0, refresh_token="refresh-2")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Renewing:
    return Renewing(monkeypatch)


def fetched(environ: dict[str, str], now: float, refused: str = "") -> Granted:
    clock: Callable[[], float] = lambda: now  # noqa: E731
    return anyio.run(StoredLogin(environ, now=clock).fetch, SERVER, httpx.AsyncClient, refused)


def test_a_valid_token_is_used_and_one_that_ends_is_renewed_and_kept(
    environ: dict[str, str], provider: Renewing
) -> None:
    save(LOGIN, environ)
    assert fetched(environ, 900.0) == Granted(access_token="first", seconds=100.0)
    assert not provider.forms
    assert fetched(environ, 980.0).access_token == "second"
    assert provider.forms == [
        {"grant_type": "refresh_token", "client_id": "cli", "refresh_token": "refresh-1", "resource": "cqox"}
    ]
    kept = load(SERVER, environ)
    assert kept is not None
    assert (kept.access_token, kept.refresh_token, kept.ends_at) == ("second", "refresh-2", 1580.0)


def test_a_refused_token_that_another_program_has_replaced_costs_no_question(
    environ: dict[str, str], provider: Renewing
) -> None:
    save(LOGIN, environ)
    assert fetched(environ, 900.0, refused="zeroth").access_token == "first"
    assert not provider.forms
    assert fetched(environ, 900.0, refused="first").access_token == "second"


def test_a_sign_in_that_has_ended_or_is_missing_says_what_to_do(environ: dict[str, str], provider: Renewing) -> None:
    with pytest.raises(NotAuthenticated, match=f"cqox login --server {SERVER}"):
        fetched(environ, 900.0)
    save(LOGIN, environ)
    provider.refuses = True
    with pytest.raises(NotAuthenticated, match="has ended"):
        fetched(environ, 2000.0)
    # It is left as it was: the provider may have been set up wrongly for a moment.
    assert load(SERVER, environ) == LOGIN
