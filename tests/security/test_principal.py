import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.security import GATEWAY, LOCAL, InvalidPrincipal, Permission, Principal, Role, decode, encode, granted

READER = Principal(
    subject="key:0123456789abcdef", tenant="acme", roles=("reader",), permissions=granted(["reader"]), kind="key"
)


def text_of(members: object) -> str:
    return (
        base64.urlsafe_b64encode(json.dumps(members, separators=(",", ":"), sort_keys=True).encode())
        .decode()
        .rstrip("=")
    )


def members_of(principal: Principal) -> dict[str, object]:
    text = encode(principal)
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


@given(
    st.lists(st.sampled_from([*Role]), unique=True).map(tuple),
    st.lists(st.sampled_from([*Permission])),
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True),
)
def test_what_is_encoded_is_decoded(roles: tuple[str, ...], scopes: list[str], tenant: str):
    names = tuple(str(role) for role in roles)
    one = Principal(subject="key:a", tenant=tenant, roles=names, permissions=granted(roles, scopes), kind="key")
    assert decode(encode(one)) == one


def test_the_gateway_is_itself_and_the_local_user_crosses_no_hop():
    assert decode(encode(GATEWAY)) is not None
    assert decode(encode(GATEWAY)) == GATEWAY
    with pytest.raises(InvalidPrincipal):
        decode(encode(LOCAL))


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "../acme"},
        {"tenant": "Acme"},
        {"tenant": ""},
        {"tenant": None},
        {"subject": ""},
        {"subject": "a b"},
        {"subject": 7},
        {"kind": "local"},
        {"kind": "root"},
        {"kind": None},
        {"kind": "service"},
        {"roles": "reader"},
        {"roles": [1]},
        {"permissions": ["datasets:read", "datasets:everything"]},
        {"permissions": ["api:use", "datasets:delete"]},
        {"permissions": ["keys:resolve"]},
        {"extra": 1},
    ],
)
def test_no_other_principal_is_taken(change: dict[str, object]):
    with pytest.raises(InvalidPrincipal):
        decode(text_of(members_of(READER) | change))


def test_only_the_canonical_text_is_taken():
    text = encode(READER)
    assert decode(text) == READER
    members = members_of(READER)
    spaced = base64.urlsafe_b64encode(json.dumps(members).encode()).decode().rstrip("=")
    twice = json.dumps(members, separators=(",", ":"), sort_keys=True)[:-1] + ',"tenant":"acme"}'
    for other in (
        text + "=",
        text[:-1],
        spaced,
        base64.urlsafe_b64encode(twice.encode()).decode().rstrip("="),
        text + "A" * 5000,
        text_of([members]),
        text_of({**members, "permissions": sorted(READER.permissions, reverse=True)}),
        "",
    ):
        with pytest.raises(InvalidPrincipal):
            decode(other)


@given(
    st.text(max_size=200)
    | st.binary(max_size=200).map(lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="))
)
def test_any_text_is_a_principal_or_an_invalid_one(text: str):
    with pytest.raises(InvalidPrincipal):
        decode(text)
