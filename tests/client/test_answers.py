"""Answers that a server of CQOx does not give, or not of this version."""

import base64
import hashlib
import json

import httpx
import pytest
from pydantic import BaseModel

from cqox.client.address import Server
from cqox.client.answers import Answer, checked, parsed, refusal, version_of_client
from cqox.client.failures import Refused
from cqox.errors import (
    AnswerNotUnderstood,
    CqoxError,
    Draining,
    InvalidRequest,
    NotFound,
    RateLimited,
    ServerUnreachable,
)
from tests.client.scripted import URL, answer, problem

SERVER = Server(url=URL)
PAGE = b"<html><head><style>b{}</style></head><body><h1>502 Bad\nGateway</h1>\x1b[31m</body></html>"


def refused(response: httpx.Response) -> Refused:
    with pytest.raises(Refused) as caught:
        checked(response, SERVER, "/api/x")
    return caught.value


def test_a_success_has_its_body_and_media_type() -> None:
    found = checked(answer({"a": 1}), SERVER, "/api/x")
    assert (found.status, found.media, found.json()) == (200, "application/json", {"a": 1})


@pytest.mark.parametrize(
    ("response", "form", "said", "retried", "outage"),
    [
        (httpx.Response(502, content=PAGE), ServerUnreachable, "answered 502 .* server: 502 Bad Gateway", True, True),
        (httpx.Response(503, text=""), ServerUnreachable, "proxy", True, True),
        (httpx.Response(504, json={"error": "x"}), ServerUnreachable, "proxy", True, True),
        (httpx.Response(404, text="nginx"), AnswerNotUnderstood, "no server of CQOx: it answered 404 to /api/x: nginx",
         False, False),
        (httpx.Response(500, content=PAGE), AnswerNotUnderstood, "no server of CQOx", False, False),
        (httpx.Response(401, text="no"), InvalidRequest, "valid token", False, False),
        (httpx.Response(403, text="no"), InvalidRequest, "valid token", False, False),
        (httpx.Response(429, text="no"), RateLimited, "RateLimited for", True, False),
        (httpx.Response(307, headers={"Location": "https://b/?token=1"}), InvalidRequest, "to https://b/, which",
         False, False),
        (httpx.Response(304), AnswerNotUnderstood, "no server of CQOx", False, False),
        (problem(404, "not-found"), NotFound, "No.", False, False),
        (problem(503, "draining"), Draining, "Shutting down", True, False),
        (problem(404, "no-such-path"), AnswerNotUnderstood, "has no /api/x", False, False),
        (httpx.Response(400, json={"type": 3, "detail": "x"}), AnswerNotUnderstood, "no server", False, False),
    ],
)  # fmt: skip
def test_an_error_is_raised_as_what_it_is(
    response: httpx.Response, form: type[CqoxError], said: str, retried: bool, outage: bool
) -> None:
    found = refused(response)
    with pytest.raises(form, match=said):
        raise found.error
    assert (found.retryable, found.outage) == (retried, outage)
    assert "\x1b" not in str(found.error)
    assert "token=1" not in str(found.error)


def test_a_wait_that_is_asked_for_is_known() -> None:
    asked = {"Retry-After": "7"}
    for response in (problem(429, "shed", headers=asked), httpx.Response(429, headers=asked)):
        error = refusal(response, SERVER, "/").error
        assert getattr(error, "retry_after", None) == 7.0


def test_a_damaged_body_is_asked_for_again() -> None:
    body = b'{"a":1}'
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    intact = {"Content-Digest": f"sha-512=:x:, sha-256=:{digest}:"}
    assert checked(httpx.Response(200, content=body, headers=intact), SERVER, "/").body == body
    found = refused(httpx.Response(200, content=body[:-1], headers=intact))
    assert (type(found.error), found.retryable) == (ServerUnreachable, True)
    # The digest is that of the encoded bytes, which may be gone.
    packed = httpx.Response(200, content=body, headers={**intact, "Content-Encoding": "br"})
    assert checked(packed, SERVER, "/").body == body
    assert checked(packed, SERVER, "/", sent=body).body == body
    with pytest.raises(Refused):
        checked(packed, SERVER, "/", sent=b"x")


@pytest.mark.parametrize("body", [b"<html>Log in</html>", b"", b"[1]", b"\xff"])
def test_a_success_that_is_no_object_is_not_understood(body: bytes) -> None:
    found = Answer(server=SERVER, path="/api/x", status=200, media="text/html", body=body)
    with pytest.raises(AnswerNotUnderstood, match="no JSON object, but text/html"):
        found.json()


class Inner(BaseModel, extra="forbid"):
    name: str


class Outer(BaseModel, extra="forbid"):
    parts: list[Inner]


def test_members_of_a_later_version_are_ignored() -> None:
    assert parsed(Outer, {"parts": [{"name": "a", "new": 1}], "new": 2}, SERVER) == Outer(parts=[Inner(name="a")])


def test_an_answer_of_another_version_names_what_does_not_fit() -> None:
    with pytest.raises(AnswerNotUnderstood, match=rf"{version_of_client()}: parts.0.name: Field required"):
        parsed(Outer, {"parts": [{"title": "a"}]}, SERVER)
    answered = Answer(server=SERVER, path="/", status=200, media="application/json", body=json.dumps({}).encode())
    with pytest.raises(AnswerNotUnderstood, match="parts"):
        answered.model(Outer)
