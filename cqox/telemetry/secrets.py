"""Masking of passwords, tokens, cookies and keys in log lines and spans. Pure.

This project does not log them, but exceptions of drivers, the operating system or clients may contain them. A mask may
hide more than the secret, up to the end of its line, but never less. A secret is found by the lower-case name before
it; the syntax after the name decides where the secret ends. Running time is linear in the length of the text.
"""

import re

__all__ = ["MASK", "is_secret_name", "masked"]

MASK = "***"

# From `://` to the end of a possible URL: a password may contain any URL delimiter.
_ADDRESS = re.compile(r"""(:(?://|\\/\\/)|%3[Aa]%2[Ff]%2[Ff])([^\s"'<>]+)""")
_PORT = re.compile(r"\d{1,5}[/?#,;)\\]")
_SCHEME_WITHOUT_USERS = re.compile(r"(?i)(?:https?|wss?|ftp)$")
_SHARE = re.compile(r"cqox_share_[\w-]+")
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w.-]+")

_KEY = r"(?:api|access|private|signing|encryption|account|shared|admin|auth|secret)[ _-]?key"
_NAMED = re.compile(
    r"(?P<said>passw(?:or)?d|passphrase|pwd|access[_-]?token)"
    rf"|(?P<header>-?authorization|cookie2?|{_KEY}|-(?:key|token|secret|signature|auth))"
    r"|(?P<name>token|secret|credentials?|jwt|sess(?:ion)?[_-]?id|session)"
    r"|(?P<query>[?&;](?:key|sig|code|auth|access|pass|sid|session|assertion)=)"
    r"|(?P<bearer>\bbearer )|(?P<basic>\bbasic )"
)

_QUOTED = r"""b?(?:"(?:[^"\\\n]|\\.?)*"?|'(?:[^'\\\n]|\\.?)*'?)"""
# Punctuation belongs to the value if the next character does.
_BARE = r"""(?:[^\s"',;&)\]}]|[,;"')\]}](?=[\w%]))+"""
_EQUALS = r"""['"]?[ \t]{0,2}(?:=|%3[Dd])(?!=)[ \t]{0,2}"""
# name=value, as in a connection string, query string, form or call.
_PAIR = rf"({_EQUALS})(?:{_QUOTED}|{_BARE})"
_LONG_PAIR = rf"({_EQUALS})(?:{_QUOTED}|[^\n\r]+)"
# 'name': value and ('name', value), as in JSON, a mapping or a list of headers.
_MEMBER = rf"""(\\?['"]\s{{0,2}}[:,]\s{{0,2}}(?:value=)?)(?:\\?{_QUOTED}|[\[({{][^\])}}\n]*|[^\s"',;&)\]}}]+)"""
# Name: value up to the end of the line, as in HTTP headers.
_LINE = r"([ \t]{0,2}:[ \t]{0,2}(?:(?i:basic|bearer|digest|negotiate|ntlm|token|apikey) +)?)[^\n\r]+"
_WORD = r"""(: ?)[^\s'",;]+"""
_VALUES = {
    "said": re.compile(f"{_PAIR}|{_MEMBER}|{_WORD}"),
    "header": re.compile(f"{_PAIR}|{_MEMBER}|{_LINE}"),
    "credentials": re.compile(f"{_LONG_PAIR}|{_MEMBER}|{_LINE}"),
    "name": re.compile(f"{_PAIR}|{_MEMBER}"),
    "query": re.compile(r"""()[^\s"'&#;]+"""),
    "bearer": re.compile(r"()[\w.~+/=-]{6,}"),
    "basic": re.compile(r"()(?=[a-z]{0,40}[A-Z0-9+/=])[A-Za-z0-9+/]{8,}={0,2}"),
}
_NO_SECRET = "idempotency-key"
# Substrings of every name, so that most lines are skipped.
_STEMS = ("pass", "pwd", "token", "secret", "key", "cookie", "auth", "sess", "jwt", "cred", "sig", "code=", "sid=")
_MORE_STEMS = ("access=", "assertion=", "bearer ", "basic ")

_NAME = re.compile(
    r"(?i)(?:^|[_-])(?:password|passwd|passphrase|pwd|pgpassword|token|secret|credentials?|cookie2?|jwt|authorization"
    rf"|session[_-]?id|{_KEY})$|^x-[\w-]*(?:key|token|secret|signature|credential|auth)$"
)


def is_secret_name(name: str) -> bool:
    """Return whether the value of a field or header of this name is a secret, regardless of its form."""
    return len(name) <= 128 and _NAME.search(name) is not None


def masked(text: str) -> str:
    """Replace every password, token, cookie and key in the text; a text without any is returned unchanged."""
    if "@" in text:
        text = _ADDRESS.sub(_address, text)
    text = _without_named(text)
    if "cqox_share_" in text:
        text = _SHARE.sub(MASK, text)
    return _JWT.sub(MASK, text) if "eyJ" in text else text


def _without_named(text: str) -> str:
    # U+0130 is the only character whose lower case is longer.
    lower = text.replace("\u0130", "I").lower()
    if not any(stem in lower for stem in _STEMS) and not any(stem in lower for stem in _MORE_STEMS):
        return text
    kept, place = 0, 0
    parts: list[str] = []
    while (name := _NAMED.search(lower, place)) is not None:
        place = name.end()
        secret = _VALUES[_kind(name, lower)].match(text, place)
        if secret is not None:
            parts += [text[kept:place], secret[secret.lastindex or 0], MASK]
            kept = place = secret.end()
    return "".join([*parts, text[kept:]]) if parts else text


def _kind(name: re.Match[str], lower: str) -> str:
    kind = name.lastgroup or "name"
    if kind != "header":
        return kind
    if lower.startswith(_NO_SECRET, max(0, name.end() - len(_NO_SECRET))):
        return "name"
    return "credentials" if name[0].startswith(("cookie", "authorization", "-authorization")) else kind


def _address(found: re.Match[str]) -> str:
    slashes, rest = found.groups()
    user, at, place = rest.rpartition("@")
    name, colon, password = user.partition(":")
    if not at or any(sign in name for sign in "/?#"):
        return found[0]
    if colon:
        # A port after the colon is not a password, and an `@` in the path does not end one.
        return found[0] if name and _PORT.match(password) else f"{slashes}{name}:{MASK}@{place}"
    before = found.string[max(0, found.start() - 8) : found.start()]
    return f"{slashes}{MASK}@{place}" if _SCHEME_WITHOUT_USERS.search(before) else found[0]
