"""Policies by host: one for each, and never more than are allowed."""

import threading

import pytest

from cqox.resilience import CircuitBreaker, Policy
from cqox.resilience.adapters.host_policies import HostPolicies


def made(host: str) -> Policy:
    return Policy(host, CircuitBreaker(host, 1, 60.0))


def use(hosts: HostPolicies, host: str) -> Policy:
    with hosts.policy_of(host) as policy:
        return policy


def trip(policy: Policy) -> None:
    def fail() -> None:
        raise OSError

    with pytest.raises(OSError):
        policy.call(fail)


def test_one_policy_serves_all_hosts() -> None:
    policy = made("all")
    hosts = HostPolicies(policy, max_hosts=1)
    assert use(hosts, "a") is use(hosts, "b") is policy


def test_a_host_keeps_its_policy() -> None:
    hosts = HostPolicies(made, max_hosts=2)
    assert use(hosts, "a") is use(hosts, "a")
    assert use(hosts, "a") is not use(hosts, "b")


def test_the_host_that_was_used_least_recently_gives_way() -> None:
    hosts = HostPolicies(made, max_hosts=2)
    first, second = use(hosts, "a"), use(hosts, "b")
    assert use(hosts, "a") is first
    use(hosts, "c")
    assert use(hosts, "a") is first
    assert use(hosts, "b") is not second


def test_a_host_whose_circuit_is_open_stays() -> None:
    hosts = HostPolicies(made, max_hosts=1)
    opened = use(hosts, "a")
    trip(opened)
    other = use(hosts, "b")
    assert use(hosts, "b") is not other
    assert use(hosts, "a") is opened
    opened.reset()
    use(hosts, "b")
    assert use(hosts, "a") is not opened


def test_a_host_with_a_call_in_flight_stays() -> None:
    hosts = HostPolicies(made, max_hosts=1)
    with hosts.policy_of("a") as busy:
        use(hosts, "b")
        assert use(hosts, "a") is busy
    use(hosts, "b")
    assert use(hosts, "a") is not busy


def test_threads_that_meet_a_host_at_once_share_its_policy() -> None:
    both = threading.Barrier(2)

    def slowly(host: str) -> Policy:
        both.wait(5.0)
        return made(host)

    hosts = HostPolicies(slowly, max_hosts=5)
    used: list[Policy] = []
    threads = [threading.Thread(target=lambda: used.append(use(hosts, "a"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert used[0] is used[1]


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="max_hosts must be an integer of at least 1, not 0"):
        HostPolicies(made, max_hosts=0)
    with pytest.raises(ValueError, match="policies must be callable"):
        HostPolicies("engine", max_hosts=1)  # type: ignore[arg-type]
