"""Services whose clock is wrong by two hours: tokens and certificates end and begin by it, and nothing else fails."""

import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from cqox.certificates import Credentials
from tests.e2e.stack import Stack, build
from tests.e2e.test_tokens import CLIENTS, HOP_KEY, me, signing_key
from tests.servers.certificates import authority_in
from tests.servers.identity_provider import IdentityProvider
from tests.waiting import wait_until


def faked(seconds: int) -> dict[str, str]:
    """Return the environment of processes whose wall clock is wrong by some seconds."""
    if shutil.which("faketime") is None:
        pytest.skip("NOT RUN: there is no faketime; tests/servers/faketime.sh installs it")
    command = ["faketime", "-m", "now", "printenv", "LD_PRELOAD"]
    library = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    steady = {"NO_FAKE_STAT": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    return {"LD_PRELOAD": library, "FAKETIME": f"{seconds:+d}", **steady}


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    made = IdentityProvider(clients=CLIENTS, keys=[signing_key("first")])
    try:
        made.start()
        yield made
    finally:
        made.close()


def started(stack: Stack) -> None:
    for service in (stack.engine, stack.gateway):
        service.start()
    stack.engine.wait_ready()


@pytest.mark.parametrize(("seconds", "reason"), [(-7200, "not valid yet"), (-15, None), (15, None), (7200, "expired")])
def test_a_token_is_accepted_within_the_leeway_and_refused_with_its_reason_beyond(
    tmp_path: Path, provider: IdentityProvider, seconds: int, reason: str | None
) -> None:
    stack = build(
        tmp_path,
        CQOX_AUTH="oidc",
        CQOX_HOP_KEY=HOP_KEY,
        CQOX_OIDC_ISSUER=provider.issuer,
        CQOX_OIDC_AUDIENCE=provider.audience,
        **faked(seconds),
    )
    try:
        started(stack)
        stack.gateway.wait_ready()
        answers = [me(stack, provider.token("analyst")) for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200 if reason is None else 401}
        for answer in answers:
            if reason is not None:
                assert answer.headers["www-authenticate"].startswith("Bearer")
                assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        # The reason is for the operator, who can set the clock.
        assert (reason is None) or (reason in stack.gateway.log)
    finally:
        stack.gateway.kill()
        stack.engine.kill()


def test_an_upload_that_outlives_its_token_is_not_lost(tmp_path: Path, provider: IdentityProvider) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    following = {name: value for name, value in faked(0).items() if name != "FAKETIME"}
    stack = build(
        tmp_path,
        CQOX_AUTH="oidc",
        CQOX_HOP_KEY=HOP_KEY,
        CQOX_OIDC_ISSUER=provider.issuer,
        CQOX_OIDC_AUDIENCE=provider.audience,
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_CACHE_DURATION="1",
        **following,
    )
    rows = b"".join(b"%d,%d\n" % (number % 7, number % 2) for number in range(60))

    def content() -> Iterator[bytes]:
        yield b"--b\r\nContent-Disposition: form-data; name=file; filename=t.csv\r\n\r\ny,w\n" + rows[:120]
        # An hour passes for both services, which look at their clock once a second.
        clock.write_text("+3600")
        time.sleep(2.5)
        yield rows[120:] + b"\r\n--b--\r\n"

    try:
        started(stack)
        stack.gateway.wait_ready()
        token = provider.token("analyst")
        assert me(stack, token).status_code == 200
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "multipart/form-data; boundary=b"}
        url = f"{stack.gateway.url}/api/datasets"
        answer = httpx.post(url, content=content(), headers=headers, trust_env=False, timeout=60)
        assert (answer.status_code, answer.json().get("rows")) == (201, 60), answer.text
        assert me(stack, token).status_code == 401
    finally:
        stack.gateway.kill()
        stack.engine.kill()


@pytest.mark.parametrize(("seconds", "long_lived"), [(-7200, 401), (7200, 200)])
def test_a_certificate_begins_and_ends_by_the_clock_of_who_checks_it(
    tmp_path: Path, seconds: int, long_lived: int
) -> None:
    authority = authority_in(tmp_path / "tls", "gateway", "engine", "short", "long")
    begin = datetime.now(UTC) - timedelta(hours=12)
    # Those of the services hold by both clocks; a client's short one does not hold two hours later.
    for part in ("gateway", "engine"):
        authority.issue(part, days=2.0, begin=begin)
    authority.issue("short", days=1 / 24, begin=datetime.now(UTC) - timedelta(minutes=5))
    authority.issue("long", days=2.0, begin=begin if long_lived == 200 else datetime.now(UTC))
    stack = build(tmp_path, CQOX_TLS_DIR=str(tmp_path / "tls" / "{service}"), **faked(seconds))
    stack.engine.environment["CQOX_TLS_PEERS"] = "spiffe://cqox/gateway"
    stack.gateway.environment["CQOX_TLS_PEERS"] = "spiffe://cqox/short,spiffe://cqox/long"
    stack.gateway.environment["ENGINE_URL"] = f"https://127.0.0.1:{stack.engine.port}"
    url = f"https://127.0.0.1:{stack.gateway.port}/api/health"

    def ask(part: str) -> int:
        """Return the status of an answer, or 0 where the handshake is refused."""
        context = Credentials(authority.folder / part).current().client
        try:
            return httpx.get(url, verify=context, trust_env=False, timeout=10).status_code
        except (httpx.TransportError, ssl.SSLError):
            return 0

    try:
        for service in (stack.engine, stack.gateway):
            service.start()
        wait_until(lambda: "listening" in stack.gateway.log.lower() or "serving" in stack.gateway.log.lower())
        if long_lived == 200:
            wait_until(lambda: ask("long") == 200)
        assert ask("short") == 0
        assert (ask("long") == 200) is (long_lived == 200)
    finally:
        stack.gateway.kill()
        stack.engine.kill()
