"""The one decision on access, in front of routing and of every faster path: a principal, and its permission.

Paths are matched by the app's own URL map. An unknown path needs a principal, so that strangers learn nothing from it;
a path that nobody has given a permission is refused to everybody.
"""

import ipaddress
import math
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import trio
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, RequestRedirect

from cqox import clock
from cqox.contract.messages import Message
from cqox.errors import DeadlineExceeded, InputError, NotAllowed, NotFound, PermissionMissing
from cqox.resilience.propagation.http import deadline_from_headers
from cqox.security import LOCAL, Permission, Principal, may_know
from services.http.security.requester import principal_of, set_principal, set_seconds_until_known

if TYPE_CHECKING:
    from quart.routing import QuartRule

__all__ = ["Access", "Authenticator", "Everybody", "Needs"]

type Needs = Mapping[str, Permission | None]
"""The permission of each endpoint; None where no principal is needed."""

type Scope = MutableMapping[str, Any]

_MATCH = "cqox.match"
"""Member of a scope: the rule of its path, and the parameters of the path."""


class Authenticator(Protocol):
    """Establishes who a request comes from, by what it carries."""

    def recall(self, scope: Scope) -> Principal | None:
        """Return the principal if it is known without waiting, None if it has to be looked up.

        Raises:
            NotAuthenticated: the request carries nothing, or nothing valid.
            NotAllowed: the request came by a way that is not served.
        """
        ...

    async def look_up(self, scope: Scope) -> Principal:
        """Return the principal after looking it up; a cancellation leaves nothing behind.

        Raises:
            NotAuthenticated: the request carries nothing valid.
            ServiceError: it cannot be looked up now.
        """
        ...


class Everybody:
    """Takes every request as that of the local user.

    Args:
        loopback_only: whether requests that arrived at an address of a network are refused.
    """

    def __init__(self, *, loopback_only: bool) -> None:
        self._loopback_only = loopback_only

    def recall(self, scope: Scope) -> Principal:
        """See `Authenticator`."""
        if self._loopback_only and not _arrived_on_loopback(scope.get("server")):
            raise NotAllowed(Message("security.loopback-only"))
        return LOCAL

    async def look_up(self, scope: Scope) -> Principal:
        """See `Authenticator`."""
        return self.recall(scope)


class Access:
    """Decides whether a request is answered.

    Args:
        paths: the URL map of the app.
        needs: the permission of each of its endpoints; may grow until the app serves.
        authenticator: establishes the principal.
    """

    def __init__(self, paths: Map, needs: Needs, authenticator: Authenticator) -> None:
        self._paths = paths.bind("localhost")
        self._needs = needs
        self.authenticator = authenticator

    def matched(self, scope: Scope) -> "tuple[QuartRule, dict[str, Any]] | None":
        """Return the rule of the path that `decide` has found, and the parameters of the path; None for none."""
        return scope.get(_MATCH)

    def decide(self, scope: Scope) -> InputError | bool:
        """Decide without waiting: True to answer, an error to refuse, False where the principal has to be looked up."""
        endpoint, names_object = self._match(scope)
        if endpoint in self._needs and self._needs[endpoint] is None:
            return True
        try:
            principal = self.authenticator.recall(scope)
        except InputError as error:
            return error
        if principal is None:
            return False
        set_principal(scope, principal)
        return self._refusal(endpoint, principal, names_object=names_object) or True

    async def decide_later(self, scope: Scope) -> InputError | None:
        """Look the principal up; return the error that refuses the request, None to answer it.

        Raises:
            DeadlineExceeded: the client waits no longer than that.
            ServiceError: it cannot be looked up now.
        """
        began, seconds = clock.monotonic(), deadline_from_headers(scope["headers"], max_seconds=math.inf)
        with trio.move_on_after(seconds) as patience:
            try:
                principal = await self.authenticator.look_up(scope)
            except InputError as error:
                return error
        if patience.cancelled_caught:
            raise DeadlineExceeded(seconds, before_call=True)
        set_principal(scope, principal)
        set_seconds_until_known(scope, clock.monotonic() - began)
        endpoint, names_object = self._match(scope)
        return self._refusal(endpoint, principal, names_object=names_object)

    def check(self, endpoint: str, scope: Scope) -> None:
        """Raise the refusal of an endpoint that was reached; a second wall, should routing match another path."""
        if self._needs.get(endpoint, Permission.API_USE) is None:
            return
        principal = principal_of(scope)
        refused = None if principal is None else self._refusal(endpoint, principal, names_object=True)
        if principal is None or refused is not None:
            raise refused or NotFound(Message("security.not-for-you"))

    def found(self, scope: Scope) -> tuple[str, Mapping[str, object]]:
        """Return the endpoint that a request is for, empty for none, and the parameters of its path."""
        try:
            rule, arguments = self._paths.match(scope["path"], scope["method"], return_rule=True)
        except (HTTPException, RequestRedirect):
            return "", {}
        scope[_MATCH] = rule, dict(arguments)
        return str(rule.endpoint), arguments

    def _match(self, scope: Scope) -> tuple[str, bool]:
        endpoint, arguments = self.found(scope)
        return endpoint, bool(arguments)

    def _refusal(self, endpoint: str, principal: Principal, *, names_object: bool) -> InputError | None:
        # No such path or method: the app answers it.
        if not endpoint or principal is LOCAL:
            return None
        needs = self._needs.get(endpoint)
        if needs is not None and needs in principal.permissions:
            return None
        if needs is None or (names_object and not may_know(needs, principal.permissions)):
            return NotFound(Message("security.not-for-you"))
        return PermissionMissing(Message("security.permission-missing", permission=str(needs)), permission=str(needs))


@lru_cache(64)
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        # The path of a unix socket.
        return True


def _arrived_on_loopback(server: object) -> bool:
    match server:
        case (str() as host, *_):
            return _is_loopback(host)
        case _:
            return True
