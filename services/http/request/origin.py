"""Which web pages may change something: the `Origin` and `Sec-Fetch-Site` of a request with an unsafe method.

Browsers send a form or a plain text across sites without asking the service, and say in these headers where it comes
from. Programs send neither. Pure: nothing here knows of requests.
"""

from dataclasses import replace

from cqox.errors import InputError
from services.config.hosts import AllowedHosts, Authority, parse_authority

__all__ = ["SAFE_METHODS", "CrossSiteRequest", "is_cross_site"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing here."""

_DEFAULT_PORTS = {b"http": 80, b"https": 443}
_OWN_SITES = frozenset({b"same-origin", b"none"})


class CrossSiteRequest(InputError):
    """A page of another site asked for something to be changed."""


def is_cross_site(origin: bytes | None, site: bytes | None, host: Authority | None, allowed: AllowedHosts) -> bool:
    """Whether a page of another origin makes the request.

    The scheme is not compared, because a proxy may end TLS. Nor is the host where the browser itself says that page
    and address are of one origin, because a proxy may change it.

    Args:
        origin: the `Origin` field, None where there is none.
        site: the `Sec-Fetch-Site` field, None where there is none.
        host: what the `Host` field names, None where there is none.
        allowed: names whose pages are trusted where they are listed.
    """
    # Sandboxed frames and local files have no origin that could be compared.
    if origin == b"null":
        return True
    if site in _OWN_SITES:
        return False
    if origin is None:
        return site is not None
    page = _parse_origin(origin)
    if page is None:
        return True
    # Without a port it is the default one of the scheme that the browser used, which a proxy may not pass on.
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
