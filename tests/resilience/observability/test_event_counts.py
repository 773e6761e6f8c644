"""Counts of events: exact from many threads, and 0 before the first one."""

from concurrent.futures import ThreadPoolExecutor

from cqox.resilience import CallRejected, CircuitBreaker, Registry, TimedOut
from cqox.resilience.observability import metrics
from cqox.resilience.observability.event_counts import EventCounts


def test_events_of_many_threads_are_all_counted() -> None:
    counts = EventCounts()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: counts(TimedOut(name="slow", at=0.0, seconds=1.0)), range(4000)))
    assert counts.read(metrics.TIMEOUTS, Registry()) == [(4000, {"policy": "slow"})]


def test_a_registered_part_is_at_zero_until_it_counts_and_others_show_as_they_come() -> None:
    policies, counts = Registry(), EventCounts()
    breaker = CircuitBreaker("known")
    policies.add("known", breaker)
    zero = (0, {"policy": "known", "reason": "CircuitBreaker"})
    assert counts.read(metrics.REJECTIONS, policies) == [zero]
    counts(CallRejected(name="unknown", at=0.0, kind="Bulkhead", retry_after=0.0))
    assert counts.read(metrics.REJECTIONS, policies) == [(1, {"policy": "unknown", "reason": "Bulkhead"}), zero]
    assert counts.read(metrics.TIMEOUTS, policies) == []
