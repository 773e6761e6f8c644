import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cqox.errors import NotAuthenticated
from services.http.security.credentials import bearer_token, single_field

FIELD = b"authorization"


@pytest.mark.parametrize("value", [b"Bearer abc", b"bearer abc", b"BEARER  abc ", b" Bearer abc"])
def test_a_bearer_token_is_read(value: bytes):
    assert bearer_token([(b"host", b"x"), (FIELD, value)]) == "abc"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], ""),
        ([(FIELD, b"")], "invalid_request"),
        ([(FIELD, b"Basic YTpi")], "invalid_request"),
        ([(FIELD, b"Bearer")], "invalid_request"),
        ([(FIELD, b"Bearer ")], "invalid_request"),
        ([(FIELD, b"Bearerabc")], "invalid_request"),
        ([(FIELD, b"Bearer a b")], "invalid_token"),
        ([(FIELD, b"Bearer a,b")], "invalid_token"),
        ([(FIELD, "Bearer 鍵".encode())], "invalid_token"),
        ([(FIELD, b"Bearer \xff\xfe")], "invalid_token"),
        ([(FIELD, b"Bearer \x00")], "invalid_token"),
        ([(FIELD, b"Bearer " + b"a" * 8193)], "invalid_token"),
        ([(FIELD, b"Bearer abc"), (FIELD, b"Bearer abc")], "invalid_request"),
    ],
)
def test_anything_else_is_refused_with_its_class(headers: list[tuple[bytes, bytes]], reason: str):
    with pytest.raises(NotAuthenticated) as refused:
        bearer_token(headers)
    assert refused.value.reason == reason


@settings(max_examples=500)
@given(st.lists(st.tuples(st.just(FIELD), st.binary(max_size=80) | st.binary(max_size=80).map(b"Bearer ".__add__))))
def test_hostile_fields_are_a_token_or_refused(headers: list[tuple[bytes, bytes]]):
    try:
        token = bearer_token(headers)
    except NotAuthenticated:
        return
    assert len(headers) == 1
    assert token.isascii()
    assert token in headers[0][1].decode("latin1")


def test_a_field_is_there_once_or_not_at_all():
    assert single_field([(b"a", b" 1 ")], b"a") == b"1"
    assert single_field([(b"a", b"1")], b"b") is None
    with pytest.raises(NotAuthenticated):
        single_field([(b"a", b"1"), (b"b", b""), (b"a", b"1")], b"a")
