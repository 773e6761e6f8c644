"""Parsing and rejection of request targets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.config.hosts import parse_authority
from services.http.request.targets import InvalidTarget, Target, parse_target


@pytest.mark.parametrize(
    ("target", "path", "query", "authority"),
    [
        (b"/a/b?c=d?e", b"/a/b", b"c=d?e", None),
        (b"//a//b", b"//a//b", b"", None),
        (b"http://h", b"/", b"", b"h"),
        (b"http://h?x=1", b"/", b"x=1", b"h"),
        (b"HTTPS://h.example:8082/a%2fb?c", b"/a%2fb", b"c", b"h.example:8082"),
        (b"http://[::1]:80/a", b"/a", b"", b"[::1]:80"),
        (b"http://127.0.0.1:/", b"/", b"", b"127.0.0.1:"),
    ],
)
def test_a_path_or_an_absolute_url_is_split(target, path, query, authority):
    assert parse_target("GET", target) == Target(path=path, query=query, authority=authority)


@pytest.mark.parametrize(
    "target",
    [
        *(b"", b"?/a", b"a", b"*", b"/a#b", b"#", b"http://", b"http:///x", b"http://[::1/", b"http://[::1]x/"),
        *(b"http://user@h/", b"http://h:99999/", b"http://h:x/", b"ftp://h/", b"h:80", b"/\xff", b"/a b", b"/\x7f"),
        *(b"/..", b"/api/./x", b"/api/datasets/..", b"http://h/a/../b"),
        *(b"http://[1.2.3.4]/", b"http://h]/", b"http://[]/"),
    ],
)
def test_anything_else_is_refused_in_words(target):
    with pytest.raises(InvalidTarget, match=r"\.$"):
        parse_target("GET", target)


def test_only_options_may_ask_for_the_server_as_a_whole():
    assert parse_target("OPTIONS", b"*").path == b"/*"


@given(st.binary(max_size=60), st.sampled_from(["GET", "OPTIONS", ""]))
def test_no_bytes_raise_anything_else(target, method):
    for each in (target, b"http://" + target, b"/" + target):
        try:
            found = parse_target(method, each)
        except InvalidTarget:
            continue
        assert found.path.startswith(b"/")
        assert found.authority is None or parse_authority(found.authority)
