"""The keys of an OpenID provider: rotation, outages, forged key ids, and answers that are no key set."""

import json
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import trio
import trio.testing

from cqox.errors import IdentityProviderUnavailable
from cqox.security.access_tokens import SigningKeys, parse_keys
from services.gateway.identity_provider import (
    FRESH_SECONDS,
    KEPT_SECONDS,
    RENEW_SECONDS,
    IdentityProvider,
    fetch_keys,
    is_secure,
    sign_in_addresses,
)
from tests.security.tokens import key, public_set


class Published:
    """Publishes keys; may be away or slow, and counts the questions."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False
        self.answers: trio.Event | None = None
        self.now = 0.0
        self.later: list[Callable[[], Awaitable[None]]] = []
        self.keys = parse_keys(public_set(key("EC")))

    async def __call__(self) -> SigningKeys:
        self.asked += 1
        if self.answers is not None:
            await self.answers.wait()
        if self.away:
            raise IdentityProviderUnavailable("away")
        return self.keys

    def provider(self) -> IdentityProvider:
        return IdentityProvider(self, start_soon=self.later.append, clock=lambda: self.now)


@pytest.fixture
def published() -> Published:
    return Published()


@pytest.mark.trio
async def test_fresh_keys_need_no_question(published: Published) -> None:
    provider = published.provider()
    assert provider.known is None
    assert await provider.keys() is published.keys
    published.now = FRESH_SECONDS - 1
    assert provider.known is published.keys
    published.now = FRESH_SECONDS
    assert provider.known is None
    await provider.keys()
    assert published.asked == provider.generation == 2


@pytest.mark.trio
async def test_many_at_once_ask_once(published: Published) -> None:
    published.answers = trio.Event()
    provider = published.provider()
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(provider.keys)
        await trio.testing.wait_all_tasks_blocked()
        published.answers.set()
    assert published.asked == 1


@pytest.mark.trio
async def test_key_ids_that_do_not_exist_cost_one_question_in_ten_seconds(published: Published) -> None:
    provider = published.provider()
    await provider.keys()
    for _ in range(200):
        await provider.newer(provider.generation)
    assert published.asked == 1
    published.now = RENEW_SECONDS
    for _ in range(200):
        await provider.newer(provider.generation)
    assert published.asked == 2


@pytest.mark.trio
async def test_the_last_keys_serve_for_a_day_while_the_provider_is_away_and_nobody_waits(published: Published) -> None:
    provider = published.provider()
    await provider.keys()
    published.away = True
    published.now = FRESH_SECONDS + 1
    assert await provider.keys() is published.keys
    asked = published.asked
    for minute in range(1, 60):
        published.now += 60
        assert provider.known is published.keys, minute
        # The next question is asked by a task of its own.
        (again,) = published.later
        await again()
        published.later.clear()
    assert published.asked == asked + 59
    published.now = KEPT_SECONDS
    assert provider.known is None
    with pytest.raises(IdentityProviderUnavailable):
        await provider.keys()
    published.away = False
    published.now += RENEW_SECONDS
    assert await provider.keys() is published.keys


@pytest.mark.trio
async def test_without_any_keys_there_is_no_verdict(published: Published) -> None:
    published.away = True
    provider = published.provider()
    with pytest.raises(IdentityProviderUnavailable):
        await provider.keys()
    with pytest.raises(IdentityProviderUnavailable):
        await provider.keys()
    assert published.asked == 1


@pytest.mark.trio
async def test_a_cancelled_question_leaves_it_to_the_next(published: Published) -> None:
    published.answers = trio.Event()
    provider = published.provider()
    with trio.move_on_after(0):
        await provider.keys()
    published.answers.set()
    assert await provider.keys() is published.keys


class Answers:
    """A web server whose answers the test sets, by path."""

    def __init__(self) -> None:
        outer = self
        self.bodies: dict[str, tuple[int, bytes]] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = outer.bodies.get(self.path, (404, b""))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", body.decode())
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"

    def publish(self, **changed: object) -> None:
        document = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"} | changed
        self.bodies["/.well-known/openid-configuration"] = 200, json.dumps(document).encode()
        self.bodies["/keys"] = 200, public_set(key("EC"))


@pytest.fixture
def answers() -> Iterator[Answers]:
    made = Answers()
    thread = Thread(target=made.server.serve_forever)
    thread.start()
    made.publish()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.mark.trio
async def test_keys_are_found_by_discovery(answers: Answers) -> None:
    assert set((await fetch_keys(answers.issuer)).keys) == {"ec"}


def redirected(answers: Answers) -> None:
    answers.bodies["/keys"] = 302, f"{answers.issuer}/other".encode()
    answers.bodies["/other"] = 200, public_set(key("EC"))


SPOILED: dict[str, Callable[[Answers], None]] = {
    "another issuer": lambda answers: answers.publish(issuer="https://evil.example.com"),
    "no address of keys": lambda answers: answers.publish(jwks_uri=None),
    "keys without TLS": lambda answers: answers.publish(jwks_uri="http://keys.example.com/keys"),
    "keys in a file": lambda answers: answers.publish(jwks_uri="file:///etc/passwd"),
    "no document": lambda answers: answers.bodies.clear(),
    "a list": lambda answers: answers.bodies.update({"/.well-known/openid-configuration": (200, b"[]")}),
    "no JSON": lambda answers: answers.bodies.update({"/.well-known/openid-configuration": (200, b"<html>")}),
    "an error": lambda answers: answers.bodies.update({"/keys": (500, b"")}),
    "a redirect": redirected,
    "a flood": lambda answers: answers.bodies.update({"/keys": (200, public_set(key("EC")) + b" " * 2**17)}),
    "private keys": lambda answers: answers.bodies.update(
        {"/keys": (200, json.dumps({"keys": [key("EC").as_dict(private=True)]}).encode())}
    ),
}


@pytest.mark.trio
@pytest.mark.parametrize("name", list(SPOILED))
async def test_what_is_no_key_set_is_refused(answers: Answers, name: str) -> None:
    SPOILED[name](answers)
    with pytest.raises(IdentityProviderUnavailable):
        await fetch_keys(answers.issuer)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("ending", "found"),
    [("https://id.example.com/end", "https://id.example.com/end"), ("http://id.example.com/end", None), (5, None)],
)
async def test_the_end_of_a_session_is_offered_where_it_is_safe(
    answers: Answers, ending: object, found: str | None
) -> None:
    begin = "https://id.example.com/auth"
    answers.publish(authorization_endpoint=begin)
    assert await sign_in_addresses(answers.issuer) == (begin, None)
    answers.publish(authorization_endpoint=begin, end_session_endpoint=ending)
    assert await sign_in_addresses(answers.issuer) == (begin, found)


@pytest.mark.trio
async def test_a_provider_that_is_not_there_is_away() -> None:
    with pytest.raises(IdentityProviderUnavailable):
        await fetch_keys("http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("address", "secure"),
    [
        ("https://id.example.com", True),
        ("http://127.0.0.1:4000", True),
        ("http://localhost:4000/realm", True),
        ("http://id.example.com", False),
        ("https://", False),
        ("ftp://localhost", False),
        ("", False),
    ],
)
def test_only_this_machine_is_asked_without_tls(address: str, secure: bool) -> None:
    assert is_secure(address) is secure
