"""Quotas of principals and tenants, with the header fields that say how much is left.

The fields are those of the IETF draft on rate limit headers (draft-ietf-httpapi-ratelimit-headers): `RateLimit-Policy`
and `RateLimit`. A response that has passed a gateway lists the engine's quotas and the gateway's own.
"""

from collections.abc import Mapping, MutableMapping
from math import ceil
from typing import Any, Protocol

from cqox.errors import RateLimited
from cqox.resilience import Allowance, KeyedRateLimit
from cqox.resilience.limits.keyed_budget import KeyedBudget
from services.http.security.requester import principal_of

__all__ = ["BudgetQuota", "Quota", "Quotas", "RequestQuota", "joined"]

_NAME = "requests"
_KEY = "allowance"


class Quota(Protocol):
    """Decides on requests by what was used so far."""

    def take(self, scope: MutableMapping[str, Any]) -> RateLimited | None:
        """Count a request; return the error that refuses it, None where it is admitted or has no principal."""
        ...

    def fields(self, scope: MutableMapping[str, Any]) -> dict[str, str]:
        """Return the header fields for the response to a request; none where it has no principal."""
        ...


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
        return _fields(_NAME, self._limit.policy(), allowance) if isinstance(allowance, Allowance) else {}


class BudgetQuota:
    """The rest of a budget of tenants, for the header fields. Its owner checks and spends the budget.

    Args:
        budget: the budget, by tenant; its name is that in the fields.
    """

    def __init__(self, budget: KeyedBudget) -> None:
        self._budget = budget

    def take(self, scope: MutableMapping[str, Any]) -> RateLimited | None:
        """Return None: no request is refused for a budget before it is known what it needs."""
        return None

    def fields(self, scope: MutableMapping[str, Any]) -> dict[str, str]:
        """Return the header fields for the response to a request; none where it has no principal."""
        principal = principal_of(scope)
        if principal is None:
            return {}
        return _fields(self._budget.name, self._budget.policy(), self._budget.check(principal.tenant))


class Quotas:
    """Several quotas, each with its part of the fields.

    Args:
        quotas: in the order of the fields.
    """

    def __init__(self, *quotas: Quota) -> None:
        self._quotas = quotas

    def take(self, scope: MutableMapping[str, Any]) -> RateLimited | None:
        """Count a request in each quota up to the first that refuses it."""
        return next((error for quota in self._quotas if (error := quota.take(scope)) is not None), None)

    def fields(self, scope: MutableMapping[str, Any]) -> dict[str, str]:
        """Return the header fields for the response to a request."""
        found = dict[str, str]()
        for quota in self._quotas:
            found |= joined(found, quota.fields(scope))
        return found


def joined(present: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    """Return fields with what a response has of them already in front; each is a list (RFC 9651)."""
    return {name: ", ".join(filter(None, (present.get(name), value))) for name, value in fields.items()}


def _fields(name: str, policy: str, allowance: Allowance) -> dict[str, str]:
    return {
        "RateLimit-Policy": f'"{name}";{policy}',
        "RateLimit": f'"{name}";r={allowance.remaining};t={ceil(allowance.retry_after)}',
    }
