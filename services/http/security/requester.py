"""The principal of a request and how long it took to find it, in the state of its ASGI scope."""

from collections.abc import Mapping, MutableMapping
from typing import Any

from cqox.security import Principal

__all__ = ["principal_of", "seconds_until_known", "set_principal", "set_seconds_until_known"]

_KEY, _SECONDS = "principal", "seconds_until_known"


def set_principal(scope: MutableMapping[str, Any], principal: Principal) -> None:
    """Record who a request comes from."""
    scope.setdefault("state", {})[_KEY] = principal


def principal_of(scope: Mapping[str, Any]) -> Principal | None:
    """Return who a request comes from; None for an operation that needs no principal."""
    found = scope.get("state", {}).get(_KEY)
    return found if isinstance(found, Principal) else None


def set_seconds_until_known(scope: MutableMapping[str, Any], seconds: float) -> None:
    """Record how long a request waited until its principal was known."""
    scope.setdefault("state", {})[_SECONDS] = seconds


def seconds_until_known(scope: Mapping[str, Any]) -> float:
    """Return how long a request waited until its principal was known; 0.0 where it was at once."""
    return float(scope.get("state", {}).get(_SECONDS, 0.0))
