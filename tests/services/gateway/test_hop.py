import json

import httpx
import pytest

from cqox.errors import DeadlineExceeded, EngineUnavailable
from cqox.security import GATEWAY, HopKeys, Principal, Refusal, decode, encode, granted
from services.gateway.engine_client import Call, Reply
from services.gateway.hop import HopWriter, ask_engine

KEYS = HopKeys(["k" * 32])
READER = Principal(subject="key:a", tenant="acme", roles=("reader",), permissions=granted(["reader"]), kind="key")


class Policies:
    """Answers every call with one reply, or an error."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.calls: list[Call] = []

    async def read(self, call: Call, *, seconds: float) -> Reply:
        self.calls.append(call)
        if isinstance(self.answer, Exception):
            raise self.answer
        assert isinstance(self.answer, Reply)
        return self.answer


def reply(body: object, status: int = 200) -> Reply:
    return Reply(status=status, headers=(), body=json.dumps(body).encode())


def test_each_attempt_is_signed_for_its_time_method_and_target():
    now = [1000.0]
    hop = HopWriter(KEYS, clock=lambda: now[0]).of(READER)
    for now[0] in (1000.0, 1100.0):
        fields = dict(hop("GET", b"/api/datasets?limit=1"))
        sent = fields[b"x-cqox-principal"].decode()
        assert decode(sent) == READER
        signature = fields[b"x-cqox-principal-signature"].decode()
        assert KEYS.verifies(signature, sent, method="GET", target=b"/api/datasets?limit=1", now=now[0])
        assert not KEYS.verifies(signature, sent, method="GET", target=b"/api/datasets", now=now[0])


def test_without_a_key_the_certificate_speaks_for_the_gateway():
    assert dict(HopWriter(None).of(READER)("GET", b"/")).keys() == {b"x-cqox-principal"}


@pytest.mark.trio
async def test_an_engine_is_asked_by_id_and_digest_and_never_sees_the_key():
    policies = Policies(reply({"principal": encode(READER), "refused": None, "seconds": 12.5}))
    assert await ask_engine(policies, HopWriter(KEYS), "0" * 16, b"d" * 32) == (READER, 12.5)
    (call,) = policies.calls
    assert json.loads(call.content) == {"key_id": "0" * 16, "digest": (b"d" * 32).hex()}
    assert decode(dict(call.hop(call.method, call.target))[b"x-cqox-principal"].decode()) == GATEWAY


@pytest.mark.trio
async def test_a_refusal_is_a_verdict():
    policies = Policies(reply({"principal": None, "refused": "revoked", "seconds": 10.0}))
    assert await ask_engine(policies, HopWriter(KEYS), "0" * 16, b"") == (Refusal("revoked"), 10.0)


@pytest.mark.trio
@pytest.mark.parametrize(
    "answer",
    [
        reply({"type": "not-authenticated"}, status=401),
        reply({"principal": "x", "refused": None, "seconds": 1.0}),
        reply({"principal": None}),
        reply([]),
        Reply(status=200, headers=(), body=b"<html>"),
        Reply(status=503, headers=(), body=b""),
        DeadlineExceeded(5.0),
        EngineUnavailable("away"),
    ],
)
async def test_anything_else_is_an_engine_that_cannot_say(answer: object):
    with pytest.raises(EngineUnavailable):
        await ask_engine(Policies(answer), HopWriter(KEYS), "0" * 16, b"")


def test_fields_of_the_principal_are_names_of_http():
    for name in HopWriter(KEYS).of(READER)("GET", b"/"):
        httpx.Headers([name])
