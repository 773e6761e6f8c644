"""The page's way in by a provider: what the gateway offers, and what it refuses to redeem."""

import json
import subprocess
import sys

import pytest
from joserfc.jwk import ECKey

from services.config.settings import Settings
from services.gateway.app import create_app
from services.gateway.sign_in import PATH, PROGRAMS_PATH
from tests.servers.identity_provider import Client, IdentityProvider

BODY = {"code": "c", "code_verifier": "v" * 43, "redirect_uri": "http://127.0.0.1:8082/sign-in"}


def settings(issuer: str, client_id: str = "page") -> Settings:
    return Settings(auth="oidc", oidc_issuer=issuer, oidc_audience="cqox", oidc_client_id=client_id, hop_key="x" * 40)


@pytest.mark.trio
async def test_without_a_client_of_the_page_nothing_is_offered() -> None:
    for given in (Settings(), settings("https://id.example.com", client_id="")):
        client = create_app(given).test_client()
        answer = await client.get(PATH)
        assert (answer.status_code, await answer.get_json()) == (200, None)
        assert (await client.post(PATH, json=BODY)).status_code == 404


@pytest.mark.trio
async def test_programs_learn_which_provider_is_trusted_without_a_question_to_it() -> None:
    answer = await create_app(settings("https://id.example.com", client_id="")).test_client().get(PROGRAMS_PATH)
    assert answer.headers["Cache-Control"] == "no-store"
    assert await answer.get_json() == {
        "issuer": "https://id.example.com",
        "resource": "cqox",
        "scope": "openid",
        "client_id": "",
    }
    assert await (await create_app(Settings()).test_client().get(PROGRAMS_PATH)).get_json() is None


@pytest.mark.trio
@pytest.mark.parametrize(
    "body",
    [{}, BODY | {"more": "x"}, BODY | {"code": 5}, BODY | {"code": ""}, BODY | {"code": "x" * 5000}],
)
async def test_a_body_that_is_no_code_is_refused(body: dict[str, object]) -> None:
    client = create_app(settings("http://127.0.0.1:9")).test_client()
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 400
    assert (await client.post(PATH, data=json.dumps(BODY), headers={"Content-Type": "text/plain"})).status_code == 415


@pytest.mark.trio
async def test_a_provider_that_is_away_is_no_fault_of_the_reader() -> None:
    client = create_app(settings("http://127.0.0.1:9")).test_client()
    for answer in (await client.get(PATH), await client.post(PATH, json=BODY)):
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers


@pytest.mark.trio
async def test_a_code_that_the_provider_does_not_know_is_refused() -> None:
    key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
    page = Client(id="page", claims={}, redirect_uri=BODY["redirect_uri"])
    provider = IdentityProvider(clients=[page], keys=[key])
    try:
        provider.start()
        client = create_app(settings(provider.issuer)).test_client()
        offered = await (await client.get(PATH)).get_json()
        assert offered["address"] == f"{provider.issuer}/auth"
        assert offered["end_session"] == f"{provider.issuer}/session/end"
        # It is remembered: anybody may ask for it.
        provider.stop()
        assert await (await client.get(PATH)).get_json() == offered
        provider.start()
        answer = await client.post(PATH, json=BODY)
        assert (answer.status_code, (await answer.get_json())["field"]) == (400, "code")
    finally:
        provider.close()


def test_a_gateway_without_tokens_loads_none_of_their_libraries() -> None:
    code = "import sys, services.gateway.app; sys.exit(bool({'joserfc', 'cryptography'} & {*sys.modules}))"
    subprocess.run([sys.executable, "-c", code], check=True)
