"""The number of requests that each principal may send, with the header fields that say how many are left.

The fields are those of the IETF draft on rate limit headers (draft-ietf-httpapi-ratelimit-headers): `RateLimit-Policy`
and `RateLimit`.
"""

from collections.abc import MutableMapping
from math import ceil
from typing import Any

from cqox.errors import RateLimited
from cqox.resilience import Allowance, KeyedRateLimit
from services.http.security.requester import principal_of

__all__ = ["RequestQuota"]

_NAME = "requests"
_KEY = "allowance"


class RequestQuota:
    """A rate limit by the principals of requests.

    Args:
        per_minute: requests of one principal in a minute, at least 1.
        limit: in place of the limit that follows from it; for tests.
    """

    def __init__(self, per_minute: int, *, limit: KeyedRateLimit | None = None) -> None:
        self._limit = KeyedRateLimit(per_minute, 60.0, name="requests of one principal") if limit is None else limit

    def take(self, scope: MutableMapping[str, Any]) -> RateLimited | None:
        """Count a request; return the error that refuses it, None where it is admitted or has no principal."""
        principal = principal_of(scope)
        if principal is None:
            return None
        allowance = self._limit.take((principal.tenant, principal.subject))
        scope["state"][_KEY] = allowance
        return None if allowance.admitted else RateLimited(self._limit.name, retry_after=allowance.retry_after)

    def fields(self, scope: MutableMapping[str, Any]) -> dict[str, str]:
        """Return the header fields for the response to a request; none where it was not counted."""
        allowance = scope.get("state", {}).get(_KEY)
        if not isinstance(allowance, Allowance):
            return {}
        return {
            "RateLimit-Policy": f'"{_NAME}";{self._limit.policy()}',
            "RateLimit": f'"{_NAME}";r={allowance.remaining};t={ceil(allowance.retry_after)}',
        }
