"""Parsing of method and target of a request line (RFC 9112, section 3) for the ASGI scope.

Pure functions: bytes in, a `Target` or an error out.
"""

import re
from dataclasses import dataclass

from services.config.hosts import parse_authority

__all__ = ["InvalidTarget", "Target", "parse_target", "why_unsupported"]

_ABSOLUTE = re.compile(rb"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?]*)(?P<rest>.*)", re.DOTALL)
_VISIBLE = re.compile(rb"[!-~]+")


class InvalidTarget(ValueError):
    """The target is neither a path nor an absolute URL; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parsed request target.

    Attributes:
        path: the path as the client sent it, still percent-encoded; it begins with a slash.
        query: what follows the first question mark, empty where there is none.
        authority: host and port of an absolute target, which replace the Host header; None for a path.
    """

    path: bytes
    query: bytes
    authority: bytes | None = None


def why_unsupported(method: bytes) -> str:
    """Return why a method is not supported; empty where it may be.

    Methods are case-sensitive (RFC 9110, section 9.1); the framework would route `get` as GET.
    """
    if method == b"CONNECT":
        return "The service is no proxy: CONNECT is not supported."
    if method != method.upper():
        said = method[:20].decode("ascii", "backslashreplace")
        return f"Methods are case-sensitive, and there is no method '{said}': send {said.upper()}."
    return ""


def parse_target(method: str, target: bytes) -> Target:
    """Split a request target into path, query and authority.

    Args:
        method: the request's method; only OPTIONS may ask for the server as a whole (`*`).
        target: what stands between method and version.

    Raises:
        InvalidTarget: it is of no form that the method allows.
    """
    if not _VISIBLE.fullmatch(target):
        raise InvalidTarget("The target of the request holds a character that no URL may hold; percent-encode it.")
    if b"#" in target:
        raise InvalidTarget("The target of the request holds a '#'; send it without the fragment.")
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
        return Target(path=_checked(path), query=query)
    if target == b"*" and method == "OPTIONS":
        return Target(path=b"/*", query=b"")
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise InvalidTarget("The target of the request must be a path that begins with '/', or an absolute URL.")
    if absolute["scheme"].lower() not in (b"http", b"https"):
        raise InvalidTarget("The scheme of the requested URL must be http or https.")
    if parse_authority(absolute["authority"]) is None:
        raise InvalidTarget("The requested URL has no valid host.")
    path, _, query = absolute["rest"].partition(b"?")
    return Target(path=_checked(path) or b"/", query=query, authority=absolute["authority"])


def _checked(path: bytes) -> bytes:
    # Clients resolve dot segments before sending, and services behind a proxy must parse the same path as the proxy.
    if b"/." in path and not {b".", b".."}.isdisjoint(path.split(b"/")):
        raise InvalidTarget("The path of the request has a segment '.' or '..'; send the path that it means.")
    return path
