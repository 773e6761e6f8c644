"""The flows of a sign-in with scripted answers; with a real provider in `tests/e2e/test_programs.py`."""

from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest

from cqox.client.oauth import Metadata, TokenRefused
from cqox.client.sign_in_flows import Application, by_device, by_redirect
from cqox.errors import IdentityProviderUnavailable, NotAuthenticated

ISSUER = "https://id.example.com"
METADATA = Metadata(
    issuer=ISSUER,
    token_endpoint=f"{ISSUER}/token",
    authorization_endpoint=f"{ISSUER}/auth",
    device_endpoint=f"{ISSUER}/device",
)
CLI = Application(client_id="cli", scope="openid offline_access", resource="cqox")
BEGUN = {"device_code": "d", "user_code": "ABCD-EFGH", "verification_uri": f"{ISSUER}/activate", "interval": 5}
GRANTED = {"access_token": "t", "expires_in": 60, "refresh_token": "r"}


class Provider:
    """Answers the device endpoint and then each token request in turn."""

    def __init__(self, begun: object, *answers: dict[str, object]) -> None:
        self.begun = begun
        self.answers = list(answers)
        self.times: list[float] = []
        self.forms: list[dict[str, list[str]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.forms.append(parse_qs(request.content.decode()))
        if request.url.path == "/device":
            return httpx.Response(200, json=self.begun)
        self.times.append(anyio.current_time())
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return httpx.Response(400 if "error" in found else 200, json=found)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self))


@pytest.mark.anyio
async def test_a_device_flow_asks_at_the_pace_that_the_provider_wants() -> None:
    provider = Provider(BEGUN, {"error": "authorization_pending"}, {"error": "slow_down"}, GRANTED)
    shown, began = list[tuple[str, str]](), anyio.current_time()
    async with provider.client() as http:
        granted = await by_device(http, METADATA, CLI, lambda address, code: shown.append((address, code)))
    assert (granted.access_token, granted.refresh_token) == ("t", "r")
    assert [time - began for time in provider.times] == pytest.approx([5.0, 10.0, 20.0])
    assert shown == [(f"{ISSUER}/activate", "ABCD-EFGH")]
    assert provider.forms[0] == {"client_id": ["cli"], "scope": ["openid offline_access"], "resource": ["cqox"]}
    assert provider.forms[1]["device_code"] == ["d"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("begun", "answer", "error"),
    [
        (BEGUN, {"error": "access_denied"}, TokenRefused),
        (BEGUN, {"error": "expired_token"}, TokenRefused),
        (BEGUN, {"error": "authorization_pending"}, NotAuthenticated),
        ({}, GRANTED, IdentityProviderUnavailable),
    ],
)
async def test_a_device_flow_that_is_refused_or_that_nobody_finishes_ends(
    begun: object, answer: dict[str, object], error: type
) -> None:
    async with Provider(begun, answer).client() as http:
        with pytest.raises(error) as caught:
            await by_device(http, METADATA, CLI, lambda *_: None)
    assert type(caught.value) is error


def test_a_redirect_with_the_state_is_redeemed_with_the_verifier_and_no_other_is_taken() -> None:
    provider = Provider(BEGUN, GRANTED)
    addresses = list[str]()

    async def browse() -> None:
        while not addresses:
            await anyio.sleep(0.01)
        query = {name: values[0] for name, values in parse_qs(urlsplit(addresses[0]).query).items()}
        assert query["code_challenge_method"] == "S256"
        async with httpx.AsyncClient(trust_env=False) as browser:
            for path in ("?code=stolen&state=guess", "?code=stolen", "/../other"):
                assert (await browser.get(query["redirect_uri"] + path)).status_code == 404
            answer = await browser.get(query["redirect_uri"], params={"code": "c", "state": query["state"]})
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "no-store"

    async def main() -> None:
        async with provider.client() as http, anyio.create_task_group() as group:
            group.start_soon(browse)
            granted = await by_redirect(http, METADATA, CLI, lambda address, _: addresses.append(address))
            assert granted.access_token == "t"

    anyio.run(main)
    (form,) = provider.forms
    assert form["code"] == ["c"]
    assert len(form["code_verifier"][0]) >= 43


def test_a_refusal_at_the_provider_ends_the_flow() -> None:
    addresses = list[str]()

    async def browse() -> None:
        while not addresses:
            await anyio.sleep(0.01)
        query = {name: values[0] for name, values in parse_qs(urlsplit(addresses[0]).query).items()}
        async with httpx.AsyncClient(trust_env=False) as browser:
            await browser.get(query["redirect_uri"], params={"error": "access_denied", "state": query["state"]})

    async def main() -> None:
        async with Provider(BEGUN, GRANTED).client() as http, anyio.create_task_group() as group:
            group.start_soon(browse)
            with pytest.raises(TokenRefused) as caught:
                await by_redirect(http, METADATA, CLI, lambda address, _: addresses.append(address))
            assert caught.value.code == "access_denied"

    anyio.run(main)
