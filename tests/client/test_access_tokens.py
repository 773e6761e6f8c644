"""Access tokens of a client, in virtual time and from a real provider."""

import math
from collections.abc import Callable, Iterator

import anyio
import httpx
import pytest
from joserfc.jwk import ECKey

from cqox.client.access_tokens import AccessTokens, ClientCredentials, read_sign_in
from cqox.client.oauth import Granted, TokenRefused
from cqox.errors import IdentityProviderUnavailable, InvalidRequest, NotAuthenticated, ServerUnreachable
from tests.servers.identity_provider import Client, IdentityProvider

pytestmark = pytest.mark.anyio


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Provider:
    """Grants numbered tokens."""

    def __init__(self, seconds: float | None = 600.0) -> None:
        self.seconds = seconds
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.answers: anyio.Event | None = None

    async def fetch(self, server: str, http: Callable[[], httpx.AsyncClient], refused: str) -> Granted:
        self.asked.append(refused)
        if self.answers is not None:
            await self.answers.wait()
        if self.error is not None:
            raise self.error
        return Granted(access_token=f"token-{len(self.asked)}", seconds=self.seconds)


def tokens_of(provider: Provider, clock: Clock) -> AccessTokens:
    return AccessTokens(provider, "http://localhost", httpx.AsyncClient, now=clock)


async def test_a_token_is_renewed_before_its_end_and_not_long_before() -> None:
    provider, clock = Provider(), Clock()
    tokens = tokens_of(provider, clock)
    for clock.now, expected in ((0.0, 1), (539.0, 1), (541.0, 2), (1000.0, 2), (1082.0, 3)):
        assert await tokens.current() == f"token-{expected}"
    # A short life leaves a fifth.
    provider.seconds = 10.0
    short, began = tokens_of(provider, clock), clock.now
    first = await short.current()
    clock.now = began + 7.9
    assert await short.current() == first
    clock.now = began + 8.1
    assert await short.current() != first


async def test_concurrent_calls_ask_once() -> None:
    provider, clock, found = Provider(), Clock(), list[str]()
    provider.answers = anyio.Event()
    tokens = tokens_of(provider, clock)

    async def one() -> None:
        found.append(await tokens.current())

    async def other() -> None:
        found.append(await tokens.replace("token-1"))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        provider.answers.set()
    assert (set(found), len(provider.asked)) == ({"token-1"}, 1)
    provider.answers = None
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(other)
    assert (set(found), provider.asked) == ({"token-1", "token-2"}, ["", "token-1"])


async def test_a_cancelled_question_is_asked_by_the_next() -> None:
    provider, found = Provider(), list[str]()
    provider.answers = anyio.Event()
    tokens, scope = tokens_of(provider, Clock()), anyio.CancelScope()

    async def first() -> None:
        with scope:
            await tokens.current()

    async def second() -> None:
        found.append(await tokens.current())

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(second)
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        await anyio.wait_all_tasks_blocked()
        provider.answers.set()
    assert (found, len(provider.asked)) == (["token-2"], 2)


async def test_while_the_provider_is_away_the_present_token_serves_to_its_end() -> None:
    provider, clock = Provider(), Clock()
    tokens = tokens_of(provider, clock)
    await tokens.current()
    provider.error, clock.now = IdentityProviderUnavailable("away"), 590.0
    assert await tokens.current() == "token-1"
    clock.now = 600.0
    with pytest.raises(IdentityProviderUnavailable):
        await tokens.current()


async def test_where_no_other_is_to_be_had_the_refused_token_stays() -> None:
    provider = Provider(seconds=None)
    tokens = tokens_of(provider, Clock())
    assert await tokens.current() == "token-1"
    provider.error = NotAuthenticated("ended")
    assert await tokens.replace("token-1") == "token-1"
    # Another call has replaced it already.
    assert await tokens.replace("token-0") == "token-1"
    assert math.isinf(tokens._ends_at)


# Characters that a form encodes.
SECRET = "s+/%: &=" * 5


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
    made = IdentityProvider(clients=[Client(id="importer", claims={"tenant": "default"}, secret=SECRET)], keys=[key])
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_real_provider_grants_tokens_to_a_program_with_its_secret_alone(
    provider: IdentityProvider, backend: str
) -> None:
    def fetch(secret: str) -> Granted:
        mine = ClientCredentials(
            client_id="importer", client_secret=secret, issuer=provider.issuer, resource=provider.audience
        )
        assert secret not in repr(mine)
        # Real time: the provider is another process.
        return anyio.run(mine.fetch, "http://localhost", httpx.AsyncClient, "", backend=backend)

    granted = fetch(SECRET)
    assert granted.access_token.count(".") == 2
    assert granted.seconds == 600.0
    assert granted.access_token not in repr(granted)
    with pytest.raises(TokenRefused) as caught:
        fetch("another-secret")
    assert caught.value.code == "invalid_client"


@pytest.mark.parametrize(
    ("issuer", "error"),
    [("http://id.example.com", InvalidRequest), ("http://127.0.0.1:9", IdentityProviderUnavailable)],
)
async def test_no_secret_is_sent_to_an_issuer_without_tls_or_that_is_away(issuer: str, error: type) -> None:
    mine = ClientCredentials(client_id="c", client_secret="s", issuer=issuer, resource="r")
    with pytest.raises(error):
        await mine.fetch("http://localhost", httpx.AsyncClient, "")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"null", InvalidRequest), (404, b"{}", ServerUnreachable), (200, b"[]", ServerUnreachable),
        (200, b"<html>", ServerUnreachable), (302, b"", ServerUnreachable),
    ],
)  # fmt: skip
async def test_a_server_that_names_no_provider_is_said_so(status: int, body: bytes, error: type) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        with pytest.raises(error):
            await read_sign_in("http://localhost", http)
