"""Counts that outlive their part: those of the snapshots of parts and budgets."""

from cqox.resilience import AdaptiveLimit, Bulkhead, CircuitBreaker, Policy, RateLimit, Retry, RetryBudget, Timeout
from cqox.resilience.pipeline.tally import AdmissionTally, BudgetTally
from cqox.resilience.testing import FakeClock, Script


def test_tallies_count_by_outcome() -> None:
    assert AdmissionTally(admitted=3, abandoned=1).counts() == {"admitted": 3, "rejected": 0, "abandoned": 1}
    assert BudgetTally(refused=2).counts() == {"granted": 0, "refused": 2}


def test_the_tally_of_a_part_has_the_numbers_of_its_snapshot() -> None:
    budget = RetryBudget()
    parts = [
        *(Bulkhead(2), AdaptiveLimit(3), RateLimit(9, 1.0), CircuitBreaker("engine")),
        *(Retry(2, 0.0, idempotent=True, budget=budget, clock=FakeClock()), Timeout(1.0)),
    ]
    policy = Policy("engine", *parts)
    assert policy.call(Script(ConnectionResetError(), "answer")) == "answer"
    counting = [(part, tally) for part in (*parts, budget) if (tally := part.tally()) is not None]
    assert [part.name for part, _ in counting] == ["bulkhead", "adaptive limit", "rate limit", "engine", "retry budget"]
    for part, tally in counting:
        snapshot = part.snapshot()
        assert {name: getattr(snapshot, name) for name in tally.counts()} == tally.counts()
        assert sum(tally.counts().values()) == 1
