"""Both services with `CQOX_AUTH=oidc`, and a real OpenID provider whose keys change and which goes away."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from joserfc.jwk import ECKey

from tests.e2e.stack import Stack, running_stack
from tests.servers.identity_provider import Client, IdentityProvider

HOP_KEY = "a-secret-of-the-two-services-of-this-test"
CLIENTS = [
    Client(id="analyst", claims={"tenant": "default", "roles": ["analyst"]}),
    Client(id="nobody", claims={"roles": ["analyst"]}),
]


def signing_key(name: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": name, "use": "sig", "alg": "ES256"})


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    made = IdentityProvider(clients=CLIENTS, keys=[signing_key("first")])
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def stack(provider: IdentityProvider, tmp_path: Path) -> Iterator[Stack]:
    (tmp_path / "hop").write_text(HOP_KEY)
    with running_stack(
        tmp_path,
        CQOX_AUTH="oidc",
        CQOX_HOP_KEY_FILE=str(tmp_path / "hop"),
        CQOX_OIDC_ISSUER=provider.issuer,
        CQOX_OIDC_AUDIENCE=provider.audience,
    ) as made:
        yield made


def me(stack: Stack, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{stack.gateway.url}/api/me", headers=headers, trust_env=False, timeout=30)


def test_tokens_of_a_real_provider_open_what_their_roles_allow_through_rotation_and_outage(
    stack: Stack, provider: IdentityProvider
) -> None:
    token = provider.token("analyst")
    found = me(stack, token).json()
    assert (found["subject"], found["tenant"], found["roles"]) == ("user:analyst", "default", ["analyst"])
    with stack.client() as client:
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.get("/api/datasets").status_code == 200
        assert client.post("/api/keys", json={"name": "x", "roles": ["reader"]}).status_code == 403
        narrow = provider.token("analyst", scope="datasets:read")
        refused = client.post("/api/datasets", headers={"Authorization": f"Bearer {narrow}"})
        assert refused.status_code == 403
    assert me(stack, provider.token("nobody")).status_code == 401
    assert me(stack, token[:-3]).status_code == 401
    assert httpx.get(f"{stack.gateway.url}/api/datasets", trust_env=False).status_code == 401

    # Announce another key, sign by it, and all the while every token is accepted.
    failed: list[int] = []
    accepted = 0
    ended = threading.Event()
    tokens = [token]

    def ask() -> None:
        nonlocal accepted
        while not ended.is_set():
            status = me(stack, tokens[-1]).status_code
            if status == httpx.codes.OK:
                accepted += 1
            else:
                failed.append(status)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        second = signing_key("second")
        for keys in ([*provider.keys, second], [second, *provider.keys]):
            provider.stop()
            provider.keys = keys
            provider.start()
            # A gateway asks about unknown keys at most once in ten seconds.
            time.sleep(10.5)
            tokens.append(provider.token("analyst"))
            before = accepted
            while accepted < before + 5 and not failed:
                time.sleep(0.05)
        provider.stop()
        before = accepted
        while accepted < before + 20 and not failed:
            time.sleep(0.05)
    finally:
        ended.set()
        asking.join()
    assert failed == []
    assert accepted > 20
    log = stack.gateway.log + stack.engine.log
    assert not any(part in log for text in tokens for part in text.split(".")[1:])
