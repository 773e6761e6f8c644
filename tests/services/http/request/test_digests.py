import base64
import hashlib

import pytest

from services.http.request.digests import content_digest, sha256_of


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
