"""`cqox login` and `cqox logout` without a sign-in; the flows are in `tests/e2e/test_programs.py`."""

from pathlib import Path

import pytest

from cqox.cli.login import Asked, login, logout
from tests.cli.stored import served

ASKED = Asked(server=None, client_id=None, browser=False, redirect=False, language="en")
PATH = "/page/sign-in/programs"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("CQOX_URL", raising=False)
    return tmp_path


def asked(server: str) -> Asked:
    return Asked(server=server, client_id=None, browser=False, redirect=False, language="en")


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ((200, b"null"), 2, "names no identity provider"),
        ((404, b"{}"), 1, "names no identity provider"),
        ((200, b'{"issuer": "https://id.example.com", "client_id": ""}'), 2, "CQOX_OIDC_CLI_CLIENT_ID"),
        ((200, b'{"issuer": "http://id.example.com", "client_id": "cli"}'), 2, "no https address"),
        ((200, b'{"issuer": "http://127.0.0.1:9", "client_id": "cli"}'), 1, "does not answer"),
    ],
)
def test_why_there_is_no_sign_in_is_said(
    answer: tuple[int, bytes], status: int, said: str, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    with served({PATH: answer}) as url:
        assert login(asked(url)) == status
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list(home.rglob("*.json"))


def test_without_a_server_the_command_line_is_wrong() -> None:
    assert login(ASKED) == 2
    assert logout(None, "en") == 2


def test_a_sign_out_without_a_sign_in_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert logout("http://localhost:1", "en") == 0
    assert "Nobody was signed in" in capsys.readouterr().out
