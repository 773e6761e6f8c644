"""Programs and people at the command line, of services with `CQOX_AUTH=oidc` and a real provider."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import cqox
from cqox.client import ClientCredentials
from cqox.errors import NotAuthenticated
from tests.client.browser import sign_in
from tests.e2e.stack import Stack, build
from tests.e2e.test_tokens import HOP_KEY, signing_key
from tests.servers.identity_provider import Client, IdentityProvider
from tests.waiting import wait_until

ROLES = {"tenant": "default", "roles": ["analyst"]}
SECONDS = 3
"""Life of an access token here."""


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    clients = [
        Client(id="importer", claims=ROLES),
        Client(id="cli", claims=ROLES, redirect_uri="http://127.0.0.1/callback", device=True),
    ]
    made = IdentityProvider(clients=clients, keys=[signing_key("first")], seconds=SECONDS)
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def stack(provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("programs")
    made = build(
        folder,
        CQOX_AUTH="oidc",
        CQOX_HOP_KEY=HOP_KEY,
        CQOX_OIDC_ISSUER=provider.issuer,
        CQOX_OIDC_AUDIENCE=provider.audience,
        CQOX_OIDC_CLI_CLIENT_ID="cli",
    )
    try:
        for service in (made.engine, made.gateway):
            service.start()
        made.engine.wait_ready()
        made.gateway.wait_ready()
        yield made
    finally:
        made.gateway.kill()
        made.engine.kill()


def credentials(provider: IdentityProvider) -> ClientCredentials:
    return ClientCredentials(client_id="importer", client_secret=provider.clients[0].secret)


def test_a_program_works_on_through_the_ends_of_many_tokens(stack: Stack, provider: IdentityProvider) -> None:
    # The server names the provider.
    with cqox.Client(stack.gateway.url, credentials=credentials(provider)) as client:
        ends = time.monotonic() + 2.5 * SECONDS
        calls = 0
        while time.monotonic() < ends:
            assert client.datasets() is not None
            calls += 1
        assert calls > 10
        report = client.analyze("test", y="y", treatment="w", estimators=["difference_in_means"])
        assert report.estimates


def test_a_job_that_outlives_its_token_is_waited_for_and_its_report_read(
    stack: Stack, provider: IdentityProvider
) -> None:
    with cqox.Client(stack.gateway.url, credentials=credentials(provider)) as client:
        began = time.monotonic()
        report = client.analyze(
            "test", y="y", treatment="w", covariates=["x1", "x2"], estimators=["dml_irm_ate"], repetitions=1_500
        )
        assert report.estimates
        # Otherwise the token would have done for all of it.
        assert time.monotonic() - began > SECONDS


def test_wrong_credentials_are_refused_with_the_reason(stack: Stack, provider: IdentityProvider) -> None:
    wrong = ClientCredentials(client_id="importer", client_secret="wrong")
    with cqox.Client(stack.gateway.url, credentials=wrong) as client, pytest.raises(NotAuthenticated):
        client.datasets()
    with cqox.Client(stack.gateway.url, api_key="cqox_nonsense") as client, pytest.raises(NotAuthenticated):
        client.datasets()


@contextmanager
def cli(stack: Stack, home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command of a person, with nothing of this machine's own settings; ended and closed at the end."""
    hidden = {name for name in os.environ if name.startswith(("CQOX_", "XDG_"))}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("cqox")), *arguments],
        env=environment | {"XDG_CONFIG_HOME": str(home), "CQOX_URL": stack.gateway.url, "BROWSER": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("flow", ["device", "redirect"])
def test_a_person_signs_in_once_and_every_command_uses_and_renews_it(stack: Stack, tmp_path: Path, flow: str) -> None:
    home, table = tmp_path / "config", tmp_path / "t.csv"
    table.write_text("y,w\n" + "".join(f"{number % 7},{number % 2}\n" for number in range(60)))
    more = ["--redirect"] if flow == "redirect" else []
    with cli(stack, home, "login", "--no-browser", *more) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        address = re.search(r"http://\S+", line)
        assert address is not None, line
        assert ("user_code" in line) is (flow == "device")
        sign_in(address[0])
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
    (file,) = (home / "cqox" / "sign-ins").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    before = json.loads(file.read_text())
    assert before["refresh_token"]
    assert before["access_token"] not in out + err + line

    command = ("analyze", str(table), "--server", stack.gateway.url, "--y", "y", "--treatment", "w")
    wait_until(lambda: time.time() > before["ends_at"])
    # Two at once renew it in turn: a provider takes a refresh token once.
    with cli(stack, home, *command, "--json") as first, cli(stack, home, *command, "--json") as second:
        for each in (first, second):
            out, err = each.communicate(timeout=120)
            assert each.returncode == 0, out + err
    after = json.loads(file.read_text())
    assert after["access_token"] != before["access_token"]
    with cli(stack, home, "logout") as process:
        assert process.wait(30) == 0
    assert not file.exists()
    with cli(stack, home, *command) as process:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 1, out + err


def test_a_sign_in_that_nobody_finishes_ends_with_ctrl_c(stack: Stack, tmp_path: Path) -> None:
    with cli(stack, tmp_path, "login", "--no-browser", "--redirect") as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        port = re.search(r"redirect_uri=http%3A%2F%2F127.0.0.1%3A(\d+)", line)
        assert port is not None
        # Whatever else connects is answered, and changes nothing.
        for path in ("/callback?code=x&state=y", "/other", "/callback"):
            assert httpx.get(f"http://127.0.0.1:{port[1]}{path}", trust_env=False).status_code == 404
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert not list(tmp_path.glob("cqox/sign-ins/*.json"))
