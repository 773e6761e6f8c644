"""The policy of each host; `Policy.for_key` keeps those of many."""

from collections.abc import Callable
from typing import cast

from cqox.resilience.adapters.given_policy import GivenPolicy
from cqox.resilience.composition.policy import Policy
from cqox.resilience.configuration.policy_by_name import PolicyByName

__all__ = ["HostPolicies", "PolicySource"]

type PolicySource = GivenPolicy | Callable[[str], GivenPolicy]
"""One policy for all hosts, or a function that returns the policy of a host, such as `policy.for_key`."""


class HostPolicies:
    """The policies of hosts. It may be shared by threads and event loops."""

    __slots__ = ("_checked", "_source")

    def __init__(self, source: PolicySource) -> None:
        """Args:
            source: the policy, or the function that returns that of a host, which is asked for each call.

        Raises:
            TypeError: `source` is neither a policy nor callable.
        """
        if not callable(source):
            raise TypeError(f"policies must be a Policy, registry.policy(name) or a function of a host, not {source!r}")
        self._source = source
        self._checked = False

    def policy_of(self, host: str) -> Policy:
        """Return the policy of `host`.

        Raises:
            PolicyNotLoaded: it is given by a name that no policy has.
            TypeError: the function returns no policy, or another one each time, whose circuits would never open.
        """
        source = self._source
        if isinstance(source, Policy):
            return source
        if isinstance(source, PolicyByName):
            return source.loaded()
        ask = cast("Callable[[str], object]", source)
        policy = _loaded(ask(host))
        if not self._checked:
            if not isinstance(policy, Policy):
                raise TypeError(f"policies must return the policy of {host!r}, and returned {policy!r}")
            if _loaded(ask(host)) is not policy:
                raise TypeError(f"policies makes another policy of {host!r} for each call: use policy.for_key")
            self._checked = True
        return cast("Policy", policy)


def _loaded(policy: object) -> object:
    return policy.loaded() if isinstance(policy, PolicyByName) else policy
