"""Requests to a provider whose answers come from a script; a real one is in `test_access_tokens`."""

import httpx
import pytest

from cqox.client.oauth import Metadata, TokenRefused, ask_for_token, discover, is_secure
from cqox.errors import CqoxError, IdentityProviderUnavailable

pytestmark = pytest.mark.anyio
ISSUER = "https://id.example.com"
PUBLISHED = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token", "authorization_endpoint": f"{ISSUER}/auth"}
METADATA = Metadata(issuer=ISSUER, token_endpoint=f"{ISSUER}/token", authorization_endpoint="", device_endpoint="")
FORM = {"grant_type": "client_credentials", "client_id": "a b"}


def answering(status: int, **content: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(status, **content)))  # type: ignore[arg-type]


async def test_a_provider_says_where_its_endpoints_are() -> None:
    async with answering(200, json=PUBLISHED) as http:
        found = await discover(http, ISSUER)
    assert (found.token_endpoint, found.device_endpoint) == (f"{ISSUER}/token", "")


@pytest.mark.parametrize(
    "published",
    [
        PUBLISHED | {"issuer": "https://other.example.com"}, PUBLISHED | {"token_endpoint": "http://id.example.com/t"},
        PUBLISHED | {"token_endpoint": 5}, {"issuer": ISSUER}, [], "text",
    ],
)  # fmt: skip
async def test_a_document_of_another_issuer_or_without_a_secure_endpoint_is_refused(published: object) -> None:
    async with answering(200, json=published) as http:
        with pytest.raises(IdentityProviderUnavailable):
            await discover(http, ISSUER)


@pytest.mark.parametrize(
    ("status", "content", "error"),
    [
        (400, {"json": {"error": "invalid_grant"}}, TokenRefused), (401, {"text": "no"}, TokenRefused),
        (400, {"json": [1]}, TokenRefused), (500, {"json": {}}, IdentityProviderUnavailable),
        (302, {"headers": {"Location": "https://evil.example"}}, IdentityProviderUnavailable),
        (200, {"json": {"access_token": "a b"}}, IdentityProviderUnavailable),
        (200, {"json": {"access_token": "a\r\nb"}}, IdentityProviderUnavailable),
        (200, {"json": {"access_token": 5}}, IdentityProviderUnavailable),
        (200, {"content": b"x" * 70_000}, IdentityProviderUnavailable),
    ],
)  # fmt: skip
async def test_an_answer_without_a_usable_token_is_an_error(
    status: int, content: dict[str, object], error: type[CqoxError]
) -> None:
    async with answering(status, **content) as http:
        with pytest.raises(error) as caught:
            await ask_for_token(http, METADATA, FORM, secret="s")
    assert type(caught.value) is error


async def test_the_secret_is_in_the_authentication_alone_and_a_life_may_be_unknown() -> None:
    seen = list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"access_token": "t", "expires_in": True, "refresh_token": None})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        granted = await ask_for_token(http, METADATA, FORM, secret="s:%")
    assert (granted.access_token, granted.seconds, granted.refresh_token) == ("t", None, "")
    assert httpx.BasicAuth("a+b", "s%3A%25")._auth_header == seen[0].headers["Authorization"]
    assert b"s%3A" not in seen[0].content


@pytest.mark.parametrize(
    ("address", "secure"),
    [
        ("https://id.example.com", True), ("http://127.0.0.1:1", True), ("http://localhost/x", True),
        ("http://id.example.com", False), ("ftp://localhost", False), ("https://", False), ("", False),
        ("http://127.0.0.1.example.com", False),
    ],
)  # fmt: skip
def test_a_secret_goes_only_to_https_or_this_machine(address: str, secure: bool) -> None:
    assert is_secure(address) is secure
