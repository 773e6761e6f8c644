"""Protection against cross-site request forgery by the `Origin` and `Sec-Fetch-Site` of unsafe requests.

Browsers send forms and plain text across sites without a CORS preflight, and identify the source in these headers.
Other clients send neither.
"""

from dataclasses import replace

from cqox.errors import InputError
from services.config.hosts import AllowedHosts, Authority, parse_authority

__all__ = ["SAFE_METHODS", "CrossSiteRequest", "is_cross_site"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods without side effects (RFC 9110, section 9.2.1)."""

_DEFAULT_PORTS = {b"http": 80, b"https": 443}
_OWN_SITES = frozenset({b"same-origin", b"none"})


class CrossSiteRequest(InputError):
    """A page of another site sent a request with an unsafe method."""


def is_cross_site(origin: bytes | None, site: bytes | None, host: Authority | None, allowed: AllowedHosts) -> bool:
    """Return whether a page of another origin sent the request.

    The scheme is not compared, because a proxy may terminate TLS. The host is not compared where the browser reports
    the same origin, because a proxy may change it.

    Args:
        origin: the `Origin` field; None where it is absent.
        site: the `Sec-Fetch-Site` field; None where it is absent.
        host: the parsed `Host` field; None where it is absent.
        allowed: the allow-list; pages of listed hosts are trusted.
    """
    # Sandboxed frames and local files have an opaque origin.
    if origin == b"null":
        return True
    if site in _OWN_SITES:
        return False
    if origin is None:
        return site is not None
    page = _parse_origin(origin)
    if page is None:
        return True
    # Without a port it is the default port of the browser's scheme, which a proxy may not forward.
    if host is not None and (host if host.port is not None else replace(host, port=_default(origin))) == page:
        return False
    return not allowed.lists(page)


def _parse_origin(origin: bytes) -> Authority | None:
    scheme, separator, rest = origin.partition(b"://")
    if not separator or scheme not in _DEFAULT_PORTS:
        return None
    page = parse_authority(rest)
    return page if page is None or page.port is not None else replace(page, port=_default(origin))


def _default(origin: bytes) -> int:
    return _DEFAULT_PORTS[origin.partition(b"://")[0]]
