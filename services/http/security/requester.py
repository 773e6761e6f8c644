"""The principal of a request, in the state of its ASGI scope."""

from collections.abc import Mapping, MutableMapping
from typing import Any

from cqox.security import Principal

__all__ = ["principal_of", "set_principal"]

_KEY = "principal"


def set_principal(scope: MutableMapping[str, Any], principal: Principal) -> None:
    """Record who a request comes from."""
    scope.setdefault("state", {})[_KEY] = principal


def principal_of(scope: Mapping[str, Any]) -> Principal | None:
    """Return who a request comes from; None for an operation that needs no principal."""
    found = scope.get("state", {}).get(_KEY)
    return found if isinstance(found, Principal) else None
