"""The policy of each host; `Policy.for_key` keeps those of many."""

from collections.abc import Callable
from typing import cast

from cqox.resilience.composition.policy import Policy
from cqox.resilience.runtime.ranges import check_callable

__all__ = ["HostPolicies", "PolicySource"]

type PolicySource = Policy | Callable[[str], Policy]
"""One policy for all hosts, or a function that returns the policy of a host, such as `policy.for_key`."""


class HostPolicies:
    """The policies of hosts. It may be shared by threads and event loops."""

    __slots__ = ("_checked", "_source")

    def __init__(self, source: PolicySource) -> None:
        """Args:
            source: the policy, or the function that returns that of a host, which is asked for each call.

        Raises:
            ValueError: `source` is neither a policy nor callable.
        """
        if not isinstance(source, Policy):
            check_callable("policies", source)
        self._source = source
        self._checked = False

    def policy_of(self, host: str) -> Policy:
        """Return the policy of `host`.

        Raises:
            TypeError: the function returns no policy, or another one each time, whose circuits would never open.
        """
        if isinstance(self._source, Policy):
            return self._source
        policy = self._source(host)
        if not self._checked:
            if not isinstance(cast("object", policy), Policy):
                raise TypeError(f"policies must return the policy of {host!r}, and returned {policy!r}")
            if self._source(host) is not policy:
                raise TypeError(f"policies makes another policy of {host!r} for each call: use policy.for_key")
            self._checked = True
        return policy
