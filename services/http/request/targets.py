"""Parsing of method and target of a request line (RFC 9112, section 3) for the ASGI scope.

Pure functions: bytes in, a `Target` or an error out.
"""

import re
from dataclasses import dataclass

from cqox.contract.messages import Message
from services.config.hosts import parse_authority

__all__ = ["InvalidTarget", "Target", "parse_target", "why_unsupported"]

_ABSOLUTE = re.compile(rb"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?]*)(?P<rest>.*)", re.DOTALL)
_VISIBLE = re.compile(rb"[!-~]+")


class InvalidTarget(ValueError):
    """The target is neither a path nor an absolute URL.

    Attributes:
        detail: what to change.
    """

    def __init__(self, detail: Message) -> None:
        super().__init__(detail)
        self.detail = detail


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


def why_unsupported(method: bytes) -> Message | None:
    """Return why a method is not supported; None where it may be.

    Methods are case-sensitive (RFC 9110, section 9.1); the framework would route `get` as GET.
    """
    if method == b"CONNECT":
        return Message("request.no-proxy")
    if method != method.upper():
        said = method[:20].decode("ascii", "backslashreplace")
        return Message("request.no-such-method", method=said, upper=said.upper())
    return None


def parse_target(method: str, target: bytes) -> Target:
    """Split a request target into path, query and authority.

    Args:
        method: the request's method; only OPTIONS may ask for the server as a whole (`*`).
        target: what stands between method and version.

    Raises:
        InvalidTarget: it is of no form that the method allows.
    """
    if not _VISIBLE.fullmatch(target):
        raise InvalidTarget(Message("request.target-not-encoded"))
    if b"#" in target:
        raise InvalidTarget(Message("request.target-with-fragment"))
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
        return Target(path=_checked(path), query=query)
    if target == b"*" and method == "OPTIONS":
        return Target(path=b"/*", query=b"")
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise InvalidTarget(Message("request.malformed-target"))
    if absolute["scheme"].lower() not in (b"http", b"https"):
        raise InvalidTarget(Message("request.target-of-other-scheme"))
    if parse_authority(absolute["authority"]) is None:
        raise InvalidTarget(Message("request.target-without-host"))
    path, _, query = absolute["rest"].partition(b"?")
    return Target(path=_checked(path) or b"/", query=query, authority=absolute["authority"])


def _checked(path: bytes) -> bytes:
    # Clients resolve dot segments before sending, and services behind a proxy must parse the same path as the proxy.
    if b"/." in path and not {b".", b".."}.isdisjoint(path.split(b"/")):
        raise InvalidTarget(Message("request.path-with-dots"))
    return path
