"""Access tokens at the gateway: cached, renewed with the keys of their provider, and next to API keys."""

import pytest

from cqox.errors import EngineUnavailable, IdentityProviderUnavailable, NotAuthenticated
from cqox.security import Verdict, new_key
from cqox.security.access_tokens import SigningKeys, parse_keys
from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.gateway.app import create_app
from services.gateway.authentication import KeyAuthenticator
from services.gateway.identity_provider import FRESH_SECONDS, RENEW_SECONDS, IdentityProvider
from services.gateway.token_authentication import TokenAuthenticator
from tests.security.tokens import CLAIMS, NOW, RULES, key, public_set, token


class Setting:
    """An authenticator, its provider and its clocks."""

    def __init__(self) -> None:
        self.now, self.asked, self.away = 0.0, 0, False
        self.keys = parse_keys(public_set(key("EC")))
        provider = IdentityProvider(self.fetch, start_soon=lambda work: None, clock=lambda: self.now)
        by_key = KeyAuthenticator(self.resolve, admin_token="the-token-of-an-operator")
        self.authenticator = TokenAuthenticator(RULES, provider, by_key, clock=lambda: NOW + self.now)

    async def fetch(self) -> SigningKeys:
        self.asked += 1
        if self.away:
            raise IdentityProviderUnavailable("away")
        return self.keys

    async def resolve(self, key_id: str, digest: bytes) -> tuple[Verdict, float]:
        raise EngineUnavailable("away")

    async def subject(self, text: str) -> str:
        scope = {"type": "http", "headers": [(b"authorization", b"Bearer " + text.encode())]}
        found = self.authenticator.recall(scope)
        return (found or await self.authenticator.look_up(scope)).subject


@pytest.fixture
def setting() -> Setting:
    return Setting()


@pytest.mark.trio
async def test_a_token_is_verified_with_keys_that_are_fetched_once(setting: Setting) -> None:
    assert {await setting.subject(token()) for _ in range(50)} == {"user:ada"}
    assert setting.asked == 1


@pytest.mark.trio
async def test_a_key_that_is_announced_verifies_and_one_that_is_withdrawn_ends(setting: Setting) -> None:
    first, second = token(), token(signed_by=key("EC", "second"))
    await setting.subject(first)
    setting.keys = parse_keys(public_set(key("EC"), key("EC", "second")))
    setting.now = RENEW_SECONDS
    assert await setting.subject(second) == await setting.subject(first) == "user:ada"
    setting.keys = parse_keys(public_set(key("EC", "second")))
    setting.now += FRESH_SECONDS
    assert await setting.subject(token({"exp": CLAIMS["exp"] + 600}, signed_by=key("EC", "second"))) == "user:ada"
    with pytest.raises(NotAuthenticated):
        await setting.subject(first)
    assert setting.asked == 3


@pytest.mark.trio
async def test_a_token_ends_with_its_life_also_where_it_is_remembered(setting: Setting) -> None:
    text = token()
    await setting.subject(text)
    setting.now = CLAIMS["exp"] - NOW + RULES.leeway - 1
    assert await setting.subject(text) == "user:ada"
    setting.now += 2
    with pytest.raises(NotAuthenticated, match="Sign in again"):
        await setting.subject(text)


@pytest.mark.trio
async def test_forged_key_ids_are_refused_and_hardly_asked_about(setting: Setting) -> None:
    await setting.subject(token())
    for number in range(200):
        with pytest.raises(NotAuthenticated):
            await setting.subject(token(header={"kid": f"forged-{number}"}))
    assert setting.asked == 1


@pytest.mark.trio
async def test_an_outage_of_the_provider_is_no_refusal(setting: Setting) -> None:
    setting.away = True
    with pytest.raises(IdentityProviderUnavailable):
        await setting.subject(token())
    setting.away, setting.now = False, RENEW_SECONDS
    assert await setting.subject(token()) == "user:ada"
    setting.away = True
    setting.now += FRESH_SECONDS
    for _ in range(10):
        setting.now += 1
        assert await setting.subject(token()) == "user:ada"


@pytest.mark.trio
async def test_keys_and_the_operators_token_work_too(setting: Setting) -> None:
    assert await setting.subject("the-token-of-an-operator") == "admin-token"
    with pytest.raises(EngineUnavailable):
        await setting.subject(new_key().text)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"oidc_issuer": ""}, "CQOX_OIDC_ISSUER"),
        ({"oidc_audience": ""}, "CQOX_OIDC_AUDIENCE"),
        ({"oidc_issuer": "http://id.example.com"}, "https"),
        ({"hop_key": ""}, "CQOX_HOP_KEY_FILE"),
    ],
)
def test_settings_that_cannot_work_end_the_start(changed: dict[str, str], named: str) -> None:
    good = {"oidc_issuer": "https://id.example.com", "oidc_audience": "cqox", "hop_key": "x" * 40}
    create_app(Settings(auth="oidc", **good))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=named):
        create_app(Settings(auth="oidc", **(good | changed)))  # type: ignore[arg-type]
