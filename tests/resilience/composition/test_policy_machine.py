"""Whole policies against a naive model: generated parts in generated orders, and generated concurrent calls of them.

Scenarios in which the timers of two calls coincide are left out, so that the model says exactly how each call ends,
when, and what it leaves behind in the parts. What must hold for every call is checked by itself as well. The suite has
the same scenarios each time; `make policy-machine` looks for new ones.
"""

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, assume, given, settings

from cqox.resilience import AdaptiveLimit, Bulkhead, CircuitBreaker, Drain, Hedge, RateLimit, Shed
from cqox.resilience.testing import run_in_virtual_time
from tests.resilience.composition import naive_limits, naive_policy
from tests.resilience.composition import scripted_calls as script
from tests.resilience.composition.played_policy import Play

_REJECTIONS = {"CircuitOpen", "BulkheadFull", "RateLimited", "Shed", "Draining"}
_GATES = (script.Breaker, script.Bulkhead, script.Adaptive, script.Rate, script.Shed, script.Drain)


def play(scenario: script.Scenario, backend: str) -> Play:
    """Play a scenario in virtual time."""

    async def main() -> Play:
        played = Play(scenario)
        await played.run()
        return played

    if backend == "asyncio":
        return run_in_virtual_time(main)
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def check(scenario: script.Scenario, backend: str) -> None:
    """Compare a scenario with the model, call by call and part by part."""
    expected, models, certain = naive_policy.predict(scenario)
    assume(certain)
    played = play(scenario, backend)
    for number, outcome in enumerate(expected):
        found = played.outcomes[number]
        assert (number, found.how) == (number, outcome.how)
        assert found.at == pytest.approx(outcome.at, abs=1e-5)
        assert found.starts == pytest.approx(outcome.starts, abs=1e-5)
        _check_call(scenario, scenario.calls[number], found)
    for model, part in zip(models, played.parts, strict=True):
        _check_part(model, part, played)
    _check_size(scenario, played)


def _check_call(scenario: script.Scenario, each: script.CallScript, found: naive_policy.Outcome) -> None:
    if each.deadline is not None:
        assert all(start < each.start + each.deadline for start in found.starts)
    repeats = [at for at, spec in enumerate(scenario.parts) if isinstance(spec, script.Retry | script.Hedge)]
    gates_inside = any(isinstance(spec, _GATES) for spec in scenario.parts[min(repeats, default=len(scenario.parts)) :])
    if found.how in _REJECTIONS and not gates_inside:
        assert found.starts == ()


def _check_part(model: object, part: object, played: Play) -> None:
    match part:
        case CircuitBreaker():
            assert isinstance(model, naive_policy.Breaker)
            snapshot = part.snapshot()
            totals = {name: getattr(snapshot, name) for name in model.totals}
            assert snapshot.calls == sum(totals.values())
            assert _without_order(totals, played) == _without_order(model.totals, played)
            assert snapshot.state.value == model.state
            moves = played.moves.get(part.name, [])
            assert [state for state, _ in moves] == [state for state, _ in model.moves]
            assert [at for _, at in moves] == pytest.approx([at for _, at in model.moves], abs=1e-5)
        case Bulkhead() | AdaptiveLimit():
            assert (part.snapshot().running, part.snapshot().queued) == (0, 0)
            if isinstance(part, AdaptiveLimit):
                assert isinstance(model, naive_limits.Slots)
                assert (part.limit, part.snapshot().cuts) == (int(model.limit), model.cuts)
        case Shed():
            assert part.snapshot().running == 0
        case Drain():
            assert not part.in_flight
        case RateLimit():
            assert part.snapshot().admitted >= 0
        case _:
            pass


def _without_order(totals: dict[str, int], played: Play) -> dict[str, int]:
    """Return `totals` without what depends on which attempt of a hedge a cancellation reaches first."""
    if not any(isinstance(part, Hedge) for part in played.parts):
        return totals
    certain = {name: count for name, count in totals.items() if name not in ("cancelled", "stale")}
    return {**certain, "no verdict": totals["cancelled"] + totals["stale"]}


def _check_size(scenario: script.Scenario, played: Play) -> None:
    sizes = [spec.size for spec in scenario.parts if isinstance(spec, script.Bulkhead)]
    if sizes and not any(isinstance(spec, script.Hedge) for spec in scenario.parts):
        assert played.most_inside <= min(sizes)


_machine = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(_machine, max_examples=1_000, derandomize=True)
@given(scenario=script.scenarios())
def test_policies_do_what_the_model_says(scenario: script.Scenario, backend: str) -> None:
    check(scenario, backend)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(_machine, max_examples=10_000)
@given(scenario=script.scenarios())
def test_ten_thousand_policies_do_what_the_model_says(scenario: script.Scenario, backend: str) -> None:
    check(scenario, backend)
