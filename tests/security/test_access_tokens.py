"""Access tokens: what is accepted, and a set of hostile ones."""

import hmac
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from cqox.security import Permission
from cqox.security.access_tokens import InvalidToken, UnknownKey, parse_keys, verify
from tests.security.tokens import CLAIMS, KINDS, NOW, RULES, encoded, key, known, public_set, sign, token

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated", "ignore:Key size should be")


def check(text: str, now: float = NOW) -> str:
    return verify(text, known(), RULES, now=now).principal.subject


@pytest.mark.parametrize("alg", list(KINDS))
def test_a_token_of_every_accepted_algorithm_gives_its_principal(alg: str) -> None:
    found = verify(token(alg=alg), known(), RULES, now=NOW)
    assert found.principal.subject == "user:ada"
    assert found.principal.tenant == "acme"
    assert found.principal.roles == ("analyst",)
    assert Permission.ANALYSES_WRITE in found.principal.permissions
    assert Permission.DATASETS_DELETE not in found.principal.permissions
    assert found.principal.kind == "token"
    assert found.expires_at == CLAIMS["exp"] + RULES.leeway
    assert found.key_id == KINDS[alg].lower()


def test_a_scope_narrows_roles_and_never_widens_them() -> None:
    def permissions(**claims: object) -> frozenset[Permission]:
        return verify(token(claims), known(), RULES, now=NOW).principal.permissions

    assert permissions(scope="datasets:read datasets:delete") == {Permission.DATASETS_READ, Permission.API_USE}
    assert permissions(scope="openid profile") == permissions()
    assert permissions(roles="reader steward") >= {Permission.DATASETS_DELETE}
    assert permissions(roles=["emperor"]) == frozenset()
    assert permissions(roles=None) == frozenset()


def test_one_of_several_audiences_is_enough() -> None:
    assert check(token({"aud": ["https://other.example.com", RULES.audience]})) == "user:ada"


def test_clocks_may_differ_by_the_leeway() -> None:
    assert check(token(), CLAIMS["exp"] + 29.9)
    assert check(token(), CLAIMS["iat"] - 29.9)
    for late in (CLAIMS["exp"] + 30.1, CLAIMS["iat"] - 30.1, CLAIMS["exp"] + 7200, CLAIMS["iat"] - 7200):
        with pytest.raises(InvalidToken):
            check(token(), late)


@pytest.mark.parametrize("alg", ["ES256", "RS256", "Ed25519"])
def test_a_token_has_one_text(alg: str) -> None:
    text = token(alg=alg)
    check(text)
    characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    accepted = 0
    for character in characters:
        try:
            check(text[:-1] + character)
        except InvalidToken:
            continue
        accepted += 1
    assert accepted == 1


def unsigned(alg: str) -> str:
    return f"{encoded(json.dumps({'alg': alg, 'typ': 'at+jwt', 'kid': 'ec'}))}.{encoded(json.dumps(dict(CLAIMS)))}."


def signed_by_a_public_key() -> str:
    text = f"{encoded(json.dumps({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'rsa'}))}.{encoded(json.dumps(dict(CLAIMS)))}"
    secret = key("RSA").as_pem(private=False)
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), 'sha256'))}"


def with_claims_of_another() -> str:
    head, _, signature = token().split(".")
    return f"{head}.{encoded(json.dumps({**CLAIMS, 'tenant': 'x'}))}.{signature}"


def with_signature_of_another() -> str:
    return ".".join([*token().split(".")[:2], token({"sub": "bob"}).split(".")[2]])


HOSTILE: dict[str, Callable[[], str]] = {
    "none": lambda: unsigned("none"),
    "nOnE": lambda: unsigned("nOnE") + "AA",
    "hs256 with the public key": signed_by_a_public_key,
    "rs256 on the id of an EC key": lambda: token(alg="RS256", header={"kid": "ec"}),
    "es256 on the id of an RSA key": lambda: token(header={"kid": "rsa"}),
    "another key under a known id": lambda: token(signed_by=ECKey.generate_key("P-256", {"kid": "ec"})),
    "embedded key": lambda: token(
        signed_by=key("EC", "mine"), header={"kid": "ec", "jwk": key("EC", "mine").as_dict(private=False)}
    ),
    "address of keys": lambda: token(header={"jku": "https://evil.example.com/keys"}),
    "address of certificates": lambda: token(header={"x5u": "https://evil.example.com/cert"}),
    "certificates": lambda: token(header={"x5c": ["MIIB"]}),
    "critical header": lambda: token(header={"crit": ["exp"], "exp": 1}),
    "payload not encoded": lambda: token(header={"b64": False}),
    "compressed": lambda: token(header={"zip": "DEF"}),
    "id token": lambda: token(header={"typ": "JWT"}),
    "no type": lambda: token(header={"typ": None}),
    "no key id": lambda: token(header={"kid": None}),
    "key id is a number": lambda: token(header={"kid": 7}),
    "key id is a path": lambda: token(header={"kid": "../../etc/passwd"}),
    "no algorithm": lambda: token(header={"alg": None}),
    "algorithm is a list": lambda: token(header={"alg": ["ES256"]}),
    "other issuer": lambda: token({"iss": "https://evil.example.com"}),
    "issuer with a slash more": lambda: token({"iss": RULES.issuer + "/"}),
    "no issuer": lambda: token({"iss": None}),
    "other audience": lambda: token({"aud": "https://other.example.com"}),
    "audience is a part": lambda: token({"aud": RULES.audience + ".evil.com"}),
    "no audience": lambda: token({"aud": None}),
    "audience is an object": lambda: token({"aud": {RULES.audience: True}}),
    "expired": lambda: token({"exp": int(NOW) - 60}),
    "no end": lambda: token({"exp": None}),
    "end is a string": lambda: token({"exp": str(int(NOW) + 100)}),
    "end is true": lambda: token({"exp": True}),
    "end is infinite": lambda: token(json.dumps(dict(CLAIMS)).replace(str(CLAIMS["exp"]), "1e999")),
    "end is NaN": lambda: token(json.dumps(dict(CLAIMS)).replace(str(CLAIMS["exp"]), "NaN")),
    "end is huge": lambda: token(json.dumps(dict(CLAIMS)).replace(str(CLAIMS["exp"]), "1" + "0" * 400)),
    "life of ten years": lambda: token({"exp": int(NOW) + 315_360_000}),
    "no beginning": lambda: token({"iat": None}),
    "begins tomorrow": lambda: token({"iat": int(NOW) + 80_000, "exp": int(NOW) + 86_000}),
    "not yet": lambda: token({"nbf": int(NOW) + 100}),
    "not yet, as a string": lambda: token({"nbf": "0"}),
    "no subject": lambda: token({"sub": None}),
    "empty subject": lambda: token({"sub": ""}),
    "subject is a list": lambda: token({"sub": ["ada"]}),
    "subject with a line break": lambda: token({"sub": "ada\nroot"}),
    "no tenant": lambda: token({"tenant": None}),
    "tenant is a path": lambda: token({"tenant": "../acme"}),
    "tenant in capitals": lambda: token({"tenant": "ACME"}),
    "roles are an object": lambda: token({"roles": {"platform": True}}),
    "roles are numbers": lambda: token({"roles": [1]}),
    "issuer twice": lambda: token(json.dumps(dict(CLAIMS))[:-1] + f', "iss": "{RULES.issuer}"}}'),
    "algorithm twice": lambda: sign(
        '{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"ec"}', json.dumps(CLAIMS), "ES256", key("EC")
    ),
    "claims are a list": lambda: token("[]"),
    "claims are no JSON": lambda: token("{"),
    "claims are nested deep": lambda: token('{"a":' + "[" * 3000 + "]" * 3000 + "}"),
    "four parts": lambda: token() + ".AA",
    "padding": lambda: token() + "==",
    "standard base64": lambda: token().replace("_", "/").replace("-", "+") + "/",
    "signature cut": lambda: token()[:-4],
    "signature of another": with_signature_of_another,
    "claims of another": with_claims_of_another,
    "spaces": lambda: token() + " ",
    "very long": lambda: token({"note": "x" * 9000}),
    "empty": lambda: "",
    "not ASCII": lambda: token() + "é",
}  # fmt: skip


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_tokens_open_nothing(name: str) -> None:
    with pytest.raises(InvalidToken):
        check(HOSTILE[name]())


def test_a_key_that_is_not_in_the_set_is_named_as_such() -> None:
    with pytest.raises(UnknownKey):
        check(token(signed_by=key("EC", "newer")))


@settings(max_examples=2000, deadline=None)
@given(
    st.one_of(
        st.text(max_size=200),
        st.binary(max_size=200).map(encoded),
        st.lists(st.binary(max_size=60).map(encoded), min_size=3, max_size=3).map(".".join),
    )
)
def test_no_text_ends_in_another_error(text: str) -> None:
    with pytest.raises(InvalidToken):
        check(text)


@settings(max_examples=2000, deadline=None)
@given(st.data())
def test_a_changed_token_opens_nothing(data: st.DataObject) -> None:
    text = token()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABCxyz019_-.=/+ "))
    changed = text[:place] + other + text[place + 1 :]
    try:
        found = verify(changed, known(), RULES, now=NOW)
    except InvalidToken:
        return
    # The last letter of a part has bits that are not read.
    assert found.principal.subject == "user:ada"
    assert text.split(".")[1][:-1] == changed.split(".")[1][:-1]


def test_only_usable_signature_keys_of_a_set_count() -> None:
    ec = key("EC").as_dict(private=False)
    rest = [
        {**ec, "kid": "enc", "use": "enc"},
        {**ec, "kid": "ops", "key_ops": ["sign"]},
        {"kty": "oct", "kid": "oct"},
        {"kty": "EC", "crv": "P-256", "kid": "broken", "x": "AA", "y": "AA"},
        {"kty": "quantum", "kid": "quantum"},
        {**ec, "kid": 5},
        {name: value for name, value in ec.items() if name != "kid"},
        ECKey.generate_key("P-384", {"kid": "p384"}).as_dict(private=False),
        RSAKey.generate_key(1024, {"kid": "small"}).as_dict(private=False),
    ]
    found = parse_keys(json.dumps({"keys": [ec, *rest]}).encode())
    assert set(found.keys) == {"ec"}


def test_a_key_limited_to_an_algorithm_verifies_no_other() -> None:
    limited = parse_keys(json.dumps({"keys": [key("RSA").as_dict(private=False) | {"alg": "PS256"}]}).encode())
    assert verify(token(alg="PS256"), limited, RULES, now=NOW)
    with pytest.raises(InvalidToken, match="another algorithm"):
        verify(token(alg="RS256"), limited, RULES, now=NOW)
    either = parse_keys(json.dumps({"keys": [key("OKP").as_dict(private=False) | {"alg": "EdDSA"}]}).encode())
    assert verify(token(alg="Ed25519"), either, RULES, now=NOW)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [5]}', b"\xff", b'{"keys":[],"keys":[]}',
        json.dumps({"keys": [key("EC").as_dict(private=True)]}).encode(),
        public_set(key("EC"), key("EC")),
        json.dumps({"keys": [key("EC").as_dict(private=False)] * 101}).encode(),
        public_set(key("EC")) + b" " * 2**16,
    ],
)  # fmt: skip
def test_a_set_that_cannot_be_trusted_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(InvalidToken):
        parse_keys(content)
