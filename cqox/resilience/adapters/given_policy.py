"""The policy that an adapter is given: the policy itself, or its name."""

from collections.abc import Callable

from cqox.resilience.composition.policy import Policy
from cqox.resilience.configuration.policy_by_name import PolicyByName
from cqox.resilience.pipeline.registry import LoadedPolicy, NamedPolicy

__all__ = ["GivenPolicy", "given"]

type GivenPolicy = Policy | LoadedPolicy | NamedPolicy
"""A `Policy`, one of `registry.load`, or `registry.policy(name)`, which may be loaded later."""


def given(policy: object, check: Callable[[Policy], None], *, name: str = "policy") -> Callable[[], Policy]:
    """Return a function that returns the policy of the next call.

    Args:
        policy: the `GivenPolicy`.
        check: raises where a policy does not suit the adapter. It is called now, or as soon as the policy is loaded.
        name: name of the argument.

    Raises:
        TypeError: `policy` is neither a policy nor its name.
        ValueError: `check` refuses the policy.
    """
    if isinstance(policy, PolicyByName):
        return policy.checked(check).loaded
    if not isinstance(policy, Policy):
        raise TypeError(f"{name} must be a Policy or registry.policy(name), not {policy!r}")
    check(policy)
    return lambda: policy
