"""Checks of every request before routing: its host, and the origin of the page that sent it."""

from functools import lru_cache
from typing import TYPE_CHECKING

from cqox.contract.messages import Message
from cqox.errors import InputError, InvalidRequest
from services.config.hosts import SETTING, AllowedHosts, Authority, ForeignHost, parse_authority
from services.http.request.origin import SAFE_METHODS, CrossSiteRequest, is_cross_site

if TYPE_CHECKING:
    from services.http.request.proxied import AnyRequest

__all__ = ["HEALTH_PATHS", "Guard"]

HEALTH_PATHS = frozenset({"/health/live", "/health/ready", "/api/health"})
"""Paths that are served for any host: probes use arbitrary names, and these paths expose no data."""

_KNOWN_HOSTS = 256
_WATCHED = frozenset({b"host", b"origin", b"sec-fetch-site"})


class Guard:
    """A check that rejects requests for foreign hosts, and cross-site requests with unsafe methods.

    Args:
        service: name of the service in messages, such as `gateway`.
        allowed: the allowed host names.
    """

    def __init__(self, service: str, allowed: AllowedHosts) -> None:
        self._service = service
        self._allowed = allowed
        self._parsed = lru_cache(_KNOWN_HOSTS)(parse_authority)

    def refusal(self, request: "AnyRequest") -> InputError | None:
        """Return the error that rejects the request, None where it is allowed; mark requests for foreign hosts."""
        fields: dict[bytes, bytes] = {}
        for name, value in request.scope["headers"]:
            if name in _WATCHED:
                # The joined values of a repeated field never equal an allowed one.
                fields[name] = fields[name] + b", " + value if name in fields else value
        given = fields.get(b"host")
        host = None if given is None else self._authority(given.strip())
        refused = self._refused_host(request, host, given)
        request.is_foreign = refused is not None
        if refused is not None and request.path not in HEALTH_PATHS:
            return refused
        if request.method not in SAFE_METHODS:
            return self._refused_page(fields.get(b"origin"), fields.get(b"sec-fetch-site"), host)
        return None

    def _authority(self, value: bytes) -> Authority | None:
        # Do not cache values that are too long for a host name.
        return self._parsed(value) if len(value) < 100 else parse_authority(value)

    def _refused_host(self, request: "AnyRequest", host: Authority | None, given: bytes | None) -> InputError | None:
        if given is None:
            if request.http_version == "1.0":
                return None
            return InvalidRequest(Message("request.no-single-host"), field="Host")
        if host is None:
            return InvalidRequest(Message("request.malformed-host"), field="Host")
        if self._allowed.answers_to(host):
            return None
        return ForeignHost(
            Message("request.foreign-host", host=host.host, service=self._service, setting=SETTING),
            field="Host",
        )

    def _refused_page(self, origin: bytes | None, site: bytes | None, host: Authority | None) -> InputError | None:
        if (origin is None and site is None) or not is_cross_site(origin, site, host, self._allowed):
            return None
        # An opaque origin, such as that of a local file, has no host that could be listed.
        detail = (
            Message("request.page-of-another-host", service=self._service, setting=SETTING)
            if origin is not None and b"://" in origin
            else Message("request.page-without-host", service=self._service, setting=SETTING)
        )
        return CrossSiteRequest(detail, field="Origin" if origin is not None else "Sec-Fetch-Site")
