"""Keys and access tokens for tests, valid or forged."""

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from cqox.security.access_tokens import SigningKeys, TokenRules, parse_keys

NOW = 1_800_000_000.0
RULES = TokenRules(issuer="https://id.example.com", audience="https://cqox.example.com")
CLAIMS: Mapping[str, Any] = {
    "iss": RULES.issuer,
    "aud": RULES.audience,
    "sub": "ada",
    "tenant": "acme",
    "roles": ["analyst"],
    "iat": int(NOW) - 10,
    "exp": int(NOW) + 590,
}

type Key = RSAKey | ECKey | OKPKey


@cache
def key(kind: str, name: str = "") -> Key:
    """Return a key of this kind, the same for the same name."""
    parameters: Any = {"kid": name or kind.lower()}
    if kind == "RSA":
        return RSAKey.generate_key(2048, parameters)
    return ECKey.generate_key("P-256", parameters) if kind == "EC" else OKPKey.generate_key("Ed25519", parameters)


KINDS = {"ES256": "EC", "RS256": "RSA", "PS256": "RSA", "EdDSA": "OKP", "Ed25519": "OKP"}


def public_set(*keys: Key) -> bytes:
    """Return the JWK set of some keys as an issuer publishes it."""
    return json.dumps({"keys": [each.as_dict(private=False) for each in keys]}).encode()


@cache
def known() -> SigningKeys:
    """Return one key of every kind."""
    return parse_keys(public_set(key("EC"), key("RSA"), key("OKP")))


def token(
    claims: Mapping[str, Any] | str | None = None,
    *,
    alg: str = "ES256",
    signed_by: Key | OctKey | None = None,
    header: Mapping[str, Any] | None = None,
) -> str:
    """Return a signed token; a claim or header of None is left out, and a string is the payload as it is."""
    by = signed_by or key(KINDS[alg])
    head = _without_none({"alg": alg, "typ": "at+jwt", "kid": by.kid} | dict(header or {}))
    payload = claims if isinstance(claims, str) else json.dumps(_without_none(dict(CLAIMS) | dict(claims or {})))
    return sign(json.dumps(head), payload, alg, by)


def sign(header: str, payload: str, alg: str, by: Key | OctKey) -> str:
    """Return a token of a header and a payload as they are."""
    text = f"{encoded(header)}.{encoded(payload)}"
    algorithm = jws.JWSRegistry(algorithms=[alg]).get_alg(alg)
    return f"{text}.{encoded(algorithm.sign(text.encode(), by))}"


def encoded(content: str | bytes) -> str:
    raw = content if isinstance(content, bytes) else content.encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
