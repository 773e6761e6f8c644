"""Totals of outcomes, and the snapshot of a circuit."""

import pytest

from cqox.resilience.circuit.statistics import CircuitMode, CircuitSnapshot, CircuitState, Outcome, Totals


def totals_of(totals: Totals) -> dict[str, int]:
    return {outcome.value: getattr(totals, outcome.value) for outcome in Outcome}


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_adds_one_to_its_own_total_and_to_no_other(outcome: Outcome) -> None:
    totals = Totals()
    totals.count(outcome)
    totals.count(outcome)
    assert totals_of(totals) == {other.value: 2 * (other is outcome) for other in Outcome}


def test_quiet_successes_are_not_among_the_others() -> None:
    totals = Totals()
    totals.quiet.add()
    assert (totals.success, totals.quiet.value()) == (0, 1)


def test_the_calls_of_a_snapshot_are_the_sum_of_its_totals_and_of_nothing_else() -> None:
    snapshot = CircuitSnapshot(
        name="engine",
        state=CircuitState.OPEN,
        mode=CircuitMode.NORMAL,
        retry_after=1e3,
        recent_calls=2_000_000,
        recent_failures=3_000_000,
        recent_slow=4_000_000,
        **{outcome.value: 10**at for at, outcome in enumerate(Outcome)},
    )
    assert snapshot.calls == 111_111
