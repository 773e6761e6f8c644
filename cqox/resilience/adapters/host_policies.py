"""Policies by host: which policy guards a request, and how many hosts are remembered."""

from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Lock

from cqox.resilience.circuit import CircuitBreaker, CircuitState
from cqox.resilience.composition.policy import Policy
from cqox.resilience.runtime.ranges import check_callable, check_count

__all__ = ["HostPolicies", "PolicySource"]

type PolicySource = Policy | Callable[[str], Policy]
"""One policy for all hosts, or a function that makes the policy of a host; it is called once for each host."""


class _Kept:
    """The policy of one host, and the number of its calls in flight."""

    __slots__ = ("in_flight", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.in_flight = 0

    def may_go(self) -> bool:
        """Return whether it can be forgotten: no call is in flight and each circuit is closed."""
        return not self.in_flight and all(
            part.state is CircuitState.CLOSED for part in self.policy.parts if isinstance(part, CircuitBreaker)
        )


class HostPolicies:
    """The policies of hosts. It may be shared by threads and event loops."""

    def __init__(self, source: PolicySource, *, max_hosts: int) -> None:
        """Args:
            source: the policy, or the function that makes one for a host.
            max_hosts: the most hosts to remember, at least 1. The one that was used least recently goes first; a host
                with a call in flight or with a circuit that is not closed stays. Where all stay, a further host is
                served by a policy that is not kept.

        Raises:
            ValueError: `max_hosts` is below 1.
            TypeError: `source` is neither a policy nor callable.
        """
        if not isinstance(source, Policy):
            check_callable("policies", source)
        self._source = source
        self._max_hosts = check_count("max_hosts", max_hosts, least=1)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def policy_of(self, host: str) -> Generator[Policy]:
        """Yield the policy of `host` for one call, at the end of which it may be forgotten."""
        if isinstance(self._source, Policy):
            yield self._source
            return
        kept = self._enter(host)
        try:
            yield kept.policy
        finally:
            with self._lock:
                kept.in_flight -= 1

    def _enter(self, host: str) -> _Kept:
        with self._lock:
            kept = self._kept.get(host)
            if kept is not None:
                return self._used(host, kept)
        assert not isinstance(self._source, Policy)
        made = _Kept(self._source(host))  # without the lock, as it is code of the user
        with self._lock:
            kept = self._kept.get(host)
            if kept is None:
                kept = made
                if self._has_room():
                    self._kept[host] = made
            return self._used(host, kept)

    def _used(self, host: str, kept: _Kept) -> _Kept:
        kept.in_flight += 1
        if host in self._kept:
            self._kept.move_to_end(host)
        return kept

    def _has_room(self) -> bool:
        if len(self._kept) < self._max_hosts:
            return True
        idle = next((host for host, kept in self._kept.items() if kept.may_go()), None)
        if idle is None:
            return False
        del self._kept[idle]
        return True
