"""Access tokens in the form of RFC 9068, verified by the published keys of their issuer.

A library's defaults accept an ID token, a name that is there twice and a life of ten years. Here the header is read
strictly before any key is chosen, the algorithm must fit the key, and every claim that access rests on must be there.
Needs the extra `security`.
"""

import base64
import binascii
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from cqox.errors import CqoxError
from cqox.security.permissions import Permission, granted
from cqox.security.principal import Principal

__all__ = [
    "ALGORITHMS",
    "MOST_KEYS_BYTES",
    "AccessToken",
    "InvalidToken",
    "SigningKeys",
    "TokenRules",
    "UnknownKey",
    "parse_keys",
    "verify",
]

ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA", "Ed25519")
"""Signature algorithms that are accepted; each with asymmetric keys, so that who verifies cannot sign."""

MOST_KEYS_BYTES = 64 * 2**10
"""Size of the largest key set that is read."""

_MOST_CHARACTERS = 8 * 2**10
_TYPES = frozenset({"at+jwt", "application/at+jwt"})
# Each would bring a key along, or change what is signed.
_REFUSED_HEADERS = frozenset({"crit", "jwk", "jku", "x5u", "x5c", "b64", "zip"})
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_SMALLEST_RSA_BITS = 2048
_LARGEST_RSA_BITS = 8192
_MOST_KEYS = 100
_LATEST = 1e12
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SUBJECT = re.compile(r"[!-~]{1,180}")
_CURVES = {"ES256": "P-256", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}
_KEY_TYPES = {"ES256": ECKey, "RS256": RSAKey, "PS256": RSAKey, "EdDSA": OKPKey, "Ed25519": OKPKey}

type _Key = RSAKey | ECKey | OKPKey


class InvalidToken(CqoxError):
    """A token that opens nothing; the message is a reason for the log of the service, not for its bearer."""


class UnknownKey(InvalidToken):
    """It is signed by a key that is not in the set: perhaps a newer one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """Requirements on a token.

    Attributes:
        issuer: the value of `iss`.
        audience: the value that `aud` is or contains.
        tenant_claim: name of the claim with the tenant.
        roles_claim: name of the claim with the roles, a list of strings or a string with spaces.
        leeway: seconds that two clocks may differ by.
        longest: seconds of the longest life.
    """

    issuer: str
    audience: str
    tenant_claim: str = "tenant"
    roles_claim: str = "roles"
    leeway: float = 30.0
    longest: float = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A verified token.

    Attributes:
        principal: who it stands for.
        expires_at: end of its life with the leeway, seconds since 1970.
        key_id: the key that it is signed by.
    """

    principal: Principal
    expires_at: float
    key_id: str


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The public keys of an issuer, by `kid`, with the algorithm that each is limited to, if to one."""

    keys: Mapping[str, tuple[_Key, str | None]]


def parse_keys(content: bytes) -> SigningKeys:
    """Return the usable signature keys of a JWK set (RFC 7517).

    Keys for encryption, of other types and without an id are left out. A set that holds a private key is refused as a
    whole: a reader of it could sign.

    Args:
        content: the JSON document.

    Raises:
        InvalidToken: it is no key set, holds a private key, or none that is usable.
    """
    if len(content) > MOST_KEYS_BYTES:
        raise InvalidToken("the key set is too long")
    document = _strict_json(content)
    entries = document.get("keys")
    if not isinstance(entries, list) or len(entries) > _MOST_KEYS:
        raise InvalidToken("the key set has no list of keys, or a very long one")
    found: dict[str, tuple[_Key, str | None]] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise InvalidToken("a key of the set is no object")
        if _PRIVATE & entry.keys():
            raise InvalidToken("the key set holds a private key")
        key = _usable(entry)
        name, algorithm = entry.get("kid"), entry.get("alg")
        if key is None or not isinstance(name, str) or not (algorithm is None or isinstance(algorithm, str)):
            continue
        if name in found:
            raise InvalidToken("two keys of the set have one id")
        found[name] = key, algorithm
    if not found:
        raise InvalidToken("the key set has no usable key")
    return SigningKeys(found)


def verify(token: str, keys: SigningKeys, rules: TokenRules, *, now: float) -> AccessToken:
    """Return what a token says, after its signature and every claim have been checked.

    Args:
        token: the compact serialisation.
        keys: of its issuer.
        rules: what it must say.
        now: seconds since 1970.

    Raises:
        UnknownKey: it is signed by a key that is not in the set.
        InvalidToken: it is malformed, forged, expired, or for somebody else.
    """
    header, algorithm, name = _header(token)
    try:
        key, limited_to = keys.keys[name]
    except KeyError:
        raise UnknownKey("its key is not in the set") from None
    _check_fit(key, limited_to, algorithm)
    try:
        with warnings.catch_warnings():
            # RFC 9864 calls it Ed25519; issuers still write EdDSA.
            warnings.simplefilter("ignore", SecurityWarning)
            signed = jws.deserialize_compact(token, key, algorithms=[algorithm])
    except (JoseError, ValueError) as error:
        raise InvalidToken(f"its signature is not that of {name}") from error
    if signed.headers() != header:
        raise InvalidToken("its header has two readings")
    return _accepted(_strict_json(signed.payload), rules, now, name)


def _header(token: str) -> tuple[dict[str, Any], str, str]:
    """Return the header, its algorithm and its key id; no signature is checked yet."""
    if len(token) > _MOST_CHARACTERS:
        raise InvalidToken("it is too long")
    parts = token.split(".")
    if len(parts) != 3 or not all(_BASE64URL.fullmatch(part) for part in parts):
        raise InvalidToken("it is no compact JWS")
    decoded = [_decoded(part) for part in parts]
    header = _strict_json(decoded[0])
    algorithm, name, form = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidToken("its algorithm is not accepted")
    if not isinstance(form, str) or form.lower() not in _TYPES:
        raise InvalidToken("it is no access token")
    if _REFUSED_HEADERS & header.keys():
        raise InvalidToken("its header has a member that is refused")
    if not isinstance(name, str) or not name:
        raise InvalidToken("it names no key")
    return header, algorithm, name


def _check_fit(key: _Key, limited_to: str | None, algorithm: str) -> None:
    fits = isinstance(key, _KEY_TYPES[algorithm])
    if not fits or (not isinstance(key, RSAKey) and key.curve_name != _CURVES[algorithm]):
        raise InvalidToken("its algorithm does not fit the key")
    same = {limited_to, algorithm} <= {"EdDSA", "Ed25519"}
    if limited_to is not None and limited_to != algorithm and not same:
        raise InvalidToken("its key is for another algorithm")


def _accepted(claims: dict[str, Any], rules: TokenRules, now: float, key_id: str) -> AccessToken:
    if claims.get("iss") != rules.issuer:
        raise InvalidToken("it is of another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if rules.audience not in [each for each in audiences if isinstance(each, str)]:
        raise InvalidToken("it is for another audience")
    expires_at, issued_at = _moment(claims, "exp"), _moment(claims, "iat")
    if now >= expires_at + rules.leeway:
        raise InvalidToken("it has expired")
    if issued_at > now + rules.leeway or ("nbf" in claims and _moment(claims, "nbf") > now + rules.leeway):
        raise InvalidToken("it is not valid yet")
    if not 0 < expires_at - issued_at <= rules.longest:
        raise InvalidToken("it lives too long")
    subject, tenant = claims.get("sub"), claims.get(rules.tenant_claim)
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise InvalidToken("it has no usable subject")
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        raise InvalidToken("it has no usable tenant")
    roles = _words(claims, rules.roles_claim)
    named = [each for each in _words(claims, "scope") if each in Permission]
    permissions = granted(roles, named or None)
    principal = Principal(subject=f"user:{subject}", tenant=tenant, roles=roles, permissions=permissions, kind="token")
    return AccessToken(principal=principal, expires_at=expires_at + rules.leeway, key_id=key_id)


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LATEST:
        raise InvalidToken(f"its {name} is no number")
    return float(value)


def _words(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name, [])
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list) or len(words) > _MOST_KEYS or not all(isinstance(each, str) for each in words):
        raise InvalidToken(f"its {name} is no list of names")
    return tuple(words)


def _usable(entry: Mapping[str, Any]) -> _Key | None:
    if entry.get("use", "sig") != "sig":
        return None
    if "key_ops" in entry and "verify" not in (entry["key_ops"] or ()):
        return None
    kinds: dict[object, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    kind = kinds.get(entry.get("kty"))
    if kind is None:
        return None
    with warnings.catch_warnings():
        # A small key is left out, without a word in the log.
        warnings.simplefilter("ignore", SecurityWarning)
        return _imported(kind, entry)


def _imported(kind: type[RSAKey] | type[ECKey] | type[OKPKey], entry: Mapping[str, Any]) -> _Key | None:
    try:
        # What it is limited to is compared here, where both names of one algorithm are the same.
        key = kind.import_key({name: value for name, value in entry.items() if name != "alg"})
        if isinstance(key, RSAKey):
            return key if _SMALLEST_RSA_BITS <= key.raw_value.key_size <= _LARGEST_RSA_BITS else None
        return key if key.curve_name in _CURVES.values() else None
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _decoded(text: str) -> bytes:
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidToken("it is no base64url") from error
    # Spare bits of the last character would give one token several texts.
    if base64.urlsafe_b64encode(found).decode().rstrip("=") != text:
        raise InvalidToken("its base64url has spare bits")
    return found


def _strict_json(content: bytes) -> dict[str, Any]:
    """Return a JSON object in which no name is repeated and every number is finite."""
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidToken("it is no JSON, or has a name twice") from error
    if not isinstance(found, dict):
        raise InvalidToken("it is no JSON object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
