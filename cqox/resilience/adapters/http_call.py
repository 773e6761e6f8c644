"""One HTTP request through a policy: settings of the adapters, and whether a request may be sent again.

It knows no HTTP client; the adapters of the clients do.
"""

from collections.abc import Callable, Collection, Mapping
from typing import cast

from cqox.resilience.adapters.guarded_request import GuardedRequest
from cqox.resilience.adapters.host_policies import HostPolicies, PolicySource
from cqox.resilience.composition.policy import Policy
from cqox.resilience.propagation.http import IDEMPOTENCY_KEY
from cqox.resilience.retry.classification import is_idempotent_method
from cqox.resilience.retry.hedge import Hedge
from cqox.resilience.runtime.call_context import call_key
from cqox.resilience.runtime.ranges import check_callable

__all__ = [
    "FAILURE_STATUSES",
    "LARGEST_KEPT_BODY",
    "HttpCall",
    "HttpSettings",
    "is_short",
    "runs_alone",
]

FAILURE_STATUSES = frozenset({429, 502, 503, 504})
"""Statuses that a policy sees as a failure by default: the same request may succeed later."""

LARGEST_KEPT_BODY = 2**16
"""Largest body in bytes of a failed response that is read at once, so that its connection can be used meanwhile."""


class HttpSettings[Q]:
    """Settings that the adapters of all HTTP clients share.

    Attributes:
        hosts: the policies.
        failure_statuses: statuses that a policy sees as a failure.
    """

    __slots__ = ("_idempotent", "failure_statuses", "hosts")

    def __init__(
        self,
        policies: PolicySource,
        *,
        failure_statuses: Collection[int],
        idempotent: Callable[[Q], bool] | None,
    ) -> None:
        """Args:
            policies: one policy for all hosts, or a function that returns that of a host, which is given as `host` or
                `host:port`.
            failure_statuses: statuses that a policy sees as a failure, from 100 to 599.
            idempotent: returns whether a request may be executed twice; None goes by its method and its
                `Idempotency-Key`.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.hosts = HostPolicies(policies)
        self.failure_statuses = frozenset(failure_statuses)
        for status in cast("frozenset[object]", self.failure_statuses):
            if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
                raise ValueError(f"failure_statuses must be integers from 100 to 599, not {status!r}")
        check_callable("idempotent", idempotent)
        self._idempotent = idempotent

    def said_idempotent(self, request: Q) -> bool | None:
        """Return what `idempotent` says of a request, None where it is not set."""
        return None if self._idempotent is None else bool(self._idempotent(request))


class HttpCall(GuardedRequest):
    """One request of a client, and whether it may be sent again.

    Attributes:
        method: its HTTP method.
        has_key: True where the request has an `Idempotency-Key` of its own.
    """

    __slots__ = ("_is_unsent", "_repeatable", "_said_idempotent", "has_key", "method")

    def __init__(
        self,
        method: str,
        headers: Mapping[str, object],
        *,
        said_idempotent: bool | None,
        repeatable: bool,
        is_unsent: Callable[[Exception], bool],
    ) -> None:
        """Args:
        method: its HTTP method.
        headers: its header fields, by names in any case.
        said_idempotent: what the user says of it, None for the rule by method and key.
        repeatable: False where its body can be read only once.
        is_unsent: returns whether an exception of the client proves that the request was never sent.
        """
        self.method = method
        self.has_key = IDEMPOTENCY_KEY in headers
        self._said_idempotent = said_idempotent
        self._repeatable = repeatable
        self._is_unsent = is_unsent

    def may_repeat(self, error: Exception | None) -> bool:
        """See `CallSafety.may_repeat`."""
        if not self._repeatable:
            return False
        return self._is_idempotent() or (error is not None and self._is_unsent(error))

    def _is_idempotent(self) -> bool:
        if self._said_idempotent is not None:
            return self._said_idempotent
        return self.has_key or is_idempotent_method(self.method) or call_key.get() is not None


def runs_alone(policy: Policy) -> bool:
    """Return whether the attempts of a policy follow one another, so that a new one needs no earlier response."""
    return not any(isinstance(part, Hedge) for part in policy.parts)


def is_short(content_length: str | None) -> bool:
    """Return whether a `Content-Length` says that the body is short enough to be read at once."""
    length = content_length or ""
    return length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= LARGEST_KEPT_BODY
