import base64
import hashlib
from types import SimpleNamespace

import pytest
from werkzeug.datastructures import Headers

from cqox.errors import BodyCorrupted
from services.http.request.digests import CONTENT_DIGEST, announced, content_digest, sha256_of, verified


def test_a_digest_is_read_as_it_is_written():
    assert content_digest(b'{"hello": "world"}\n') == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    assert sha256_of(content_digest(b"x")) == hashlib.sha256(b"x").digest()


@pytest.mark.parametrize("around", ["{}", "sha-512=:AA==:, {}", " {} , md5=:AA==:", "{};a=1"])
def test_it_is_found_among_others(around):
    assert sha256_of(around.format(content_digest(b"x"))) == hashlib.sha256(b"x").digest()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "sha-256",
        "sha-256=:AA==:",
        "sha-512=:" + base64.b64encode(bytes(64)).decode() + ":",
        "xsha-256=:" + "A" * 43 + "=:",
        "sha-256=:" + "=" * 44 + ":",
        "sha-256=:" + "A" * 44 + ":",
    ],
)
def test_what_is_none_is_none(value):
    assert sha256_of(value) is None


async def chunks_of(*pieces):
    for piece in pieces:
        yield piece


def with_fields(headers: dict[str, str]) -> SimpleNamespace:
    return SimpleNamespace(values_of=Headers(headers).getlist)


@pytest.mark.trio
async def test_the_chunks_of_a_body_are_held_to_its_digest_before_the_end():
    good = with_fields({CONTENT_DIGEST: content_digest(b"abcd")})
    assert [data async for data in verified(good, chunks_of(b"ab", b"cd"))] == [b"ab", b"cd"]
    bad = verified(good, chunks_of(b"ab", b"ce"))
    assert [await anext(bad), await anext(bad)] == [b"ab", b"ce"]
    with pytest.raises(BodyCorrupted):
        await anext(bad)


@pytest.mark.trio
async def test_a_body_without_a_digest_passes():
    for headers in ({}, {CONTENT_DIGEST: "md5=:x:"}):
        request = with_fields(headers)
        assert announced(request) is None
        assert [data async for data in verified(request, chunks_of(b"a"))] == [b"a"]
