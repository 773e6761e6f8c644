"""Bodies and paths of requests."""

import base64
import hashlib
import re

import pytest

from cqox.client.requests import check_text, json_call, segment
from cqox.errors import InvalidRequest, NotFound


def test_a_body_is_compact_json_with_its_digest() -> None:
    call = json_call("/api/x", {"y": "売上"}, {"Prefer": "respond-async"})
    assert call.content == '{"y":"売上"}'.encode()
    digest = base64.b64encode(hashlib.sha256(call.content).digest()).decode()
    assert call.headers["Content-Digest"] == f"sha-256=:{digest}:"
    assert (call.method, call.headers["Prefer"]) == ("POST", "respond-async")


@pytest.mark.parametrize(("value", "said"), [("\udcff", "not UTF-8"), ([float("nan")], "finite"), (1e999, "finite")])
def test_what_json_cannot_hold_is_refused(value: object, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        check_text({"a": value})


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("a-b_1", "a-b_1"), ("a b?c#d", "a%20b%3Fc%23d"), ("売", "%E5%A3%B2"), ("..", "%2E%2E"), ("a.b", "a.b"),
        ("\udcff", "%3F"),
    ],
)  # fmt: skip
def test_a_name_is_one_segment_of_a_path(name: str, encoded: str) -> None:
    assert segment(name) == encoded


@pytest.mark.parametrize("name", ["../x", "a/b", "/"])
def test_nothing_has_an_id_with_a_slash(name: str) -> None:
    with pytest.raises(NotFound, match=re.escape(f"'{name}'")):
        segment(name)


def test_an_empty_id_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        segment("")
