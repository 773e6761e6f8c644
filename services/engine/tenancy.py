"""The tenant of a request, and the services that are bound to it."""

from collections.abc import Mapping
from typing import Any

from cqox.analysis.jobs import Jobs
from cqox.analysis.tenant import TenantAnalyses
from services.engine.state import State
from services.http.request.request import current_request
from services.http.security.requester import principal_of

__all__ = ["mine", "my_jobs", "owner_of", "tenant_of"]


def tenant_of(scope: Mapping[str, Any]) -> str:
    """Return the tenant whose data a request may read and change.

    Args:
        scope: the ASGI scope of the request.

    Raises:
        RuntimeError: it has no principal: its operation is open to everybody, and may read no data of a tenant.
    """
    principal = principal_of(scope)
    if principal is None:
        raise RuntimeError("an operation that needs no principal asked for the data of a tenant")
    return principal.tenant


def owner_of(scope: Mapping[str, Any]) -> str | None:
    """Return who owns what a request registers; None without a login, where all are the same user.

    Args:
        scope: the ASGI scope of the request.
    """
    principal = principal_of(scope)
    return None if principal is None or principal.kind == "local" else principal.subject


def mine(state: State) -> TenantAnalyses:
    """Return the services of the current request's tenant. Work that outlives the request keeps what this returns."""
    return state.analyses.within(tenant_of(current_request().scope))


def my_jobs(state: State) -> Jobs:
    """Return the jobs of the current request's tenant in this engine."""
    return state.jobs.within(tenant_of(current_request().scope))
