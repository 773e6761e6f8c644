"""Permissions and deadlines of requests on tables in place."""

from collections.abc import Awaitable, Callable, Mapping

import trio

from cqox.contract.messages import Message
from cqox.errors import PermissionMissing
from cqox.resilience.propagation.http import deadline_from_headers
from cqox.security import Permission
from services.engine.deadlines import TableTimeUp
from services.http.request.propagation import DEADLINE_OF, is_client_deadline
from services.http.request.request import IncomingRequest
from services.http.security.requester import principal_of

__all__ = ["check_permissions", "within_deadline"]


def check_permissions(scope: Mapping[str, object], source: str | None, *needed: Permission) -> None:
    """Check that the principal may use sources, where a request names one, and that it has some other permissions.

    Raises:
        PermissionMissing: it lacks one.
    """
    principal = principal_of(scope)
    if source is None or principal is None:
        return
    for permission in (Permission.SOURCES_USE, *needed):
        if permission not in principal.permissions:
            said = Message("security.permission-missing", permission=str(permission))
            raise PermissionMissing(said, permission=str(permission))


async def within_deadline[Found](
    request: IncomingRequest, most: float, work: Callable[[float], Awaitable[Found]]
) -> Found:
    """Return what work finds, which gets the seconds that it has; a cancellation cancels it.

    Args:
        request: whose header fields may ask for less time.
        most: seconds that no request is granted more of.
        work: the work.

    Raises:
        TableTimeUp: the deadline passed, and the work was cancelled.
    """
    seconds = deadline_from_headers(request.call_fields, max_seconds=most)
    with trio.move_on_after(max(seconds, 0.0)):
        return await work(seconds)
    by_client = is_client_deadline(request.call_fields, most=most)
    # A gateway sends what is left of its own deadline too.
    request.client_deadline_passed = by_client and request.headers.get(DEADLINE_OF) != "service"
    raise TableTimeUp(seconds, most=most)
