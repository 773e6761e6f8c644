"""Whole policies against a naive model: generated parts in generated orders, and generated concurrent calls of them.

The model says exactly how each call ends, when, and what it leaves behind in the parts, except where much happens at
the same moment: where the timers of two calls coincide, a callee blocks the loop, or a call cancels another. What must
hold for every call, and that nothing is kept when all have ended, is checked in any case. The suite has the same
scenarios each time; `make policy-machine` looks for new ones.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, example, given, settings

from cqox.resilience import AdaptiveLimit, Bulkhead, CircuitBreaker, Drain, Hedge, RateLimit, Shed
from cqox.resilience.circuit.state import HalfOpen
from cqox.resilience.testing import VirtualTimeLoop, run_in_virtual_time
from tests.resilience.composition import naive_limits, naive_policy
from tests.resilience.composition import scripted_calls as script
from tests.resilience.composition.played_policy import Play

_REJECTIONS = {"CircuitOpen", "BulkheadFull", "RateLimited", "Shed", "Draining"}
_GATES = (script.Breaker, script.Bulkhead, script.Adaptive, script.Rate, script.Shed, script.Drain)


def play(scenario: script.Scenario, backend: str) -> Play:
    """Play a scenario in virtual time."""

    async def main(jump: Callable[[float], None] | None = None) -> Play:
        played = Play(scenario, jump or cast("VirtualTimeLoop", asyncio.get_running_loop()).jump)
        await played.run()
        return played

    if backend == "asyncio":
        return run_in_virtual_time(main)
    clock = trio.testing.MockClock(autojump_threshold=0)
    return trio.run(main, clock.jump, clock=clock)


def check(scenario: script.Scenario, backend: str) -> None:
    """Compare a scenario with the model, call by call and part by part."""
    expected, models, certain = naive_policy.predict(scenario)
    played = play(scenario, backend)
    for number, each in enumerate(scenario.calls):
        _check_call(scenario, each, played.began[number], played.outcomes[number])
    for part in played.parts:
        _check_free(part)
    _check_size(scenario, played)
    if not certain:
        return
    for number, outcome in enumerate(expected):
        found = played.outcomes[number]
        assert (number, found.how) == (number, outcome.how)
        assert found.at == pytest.approx(outcome.at, abs=1e-5)
        assert found.starts == pytest.approx(outcome.starts, abs=1e-5)
    for model, part in zip(models, played.parts, strict=True):
        _check_part(model, part, played)


def _check_call(scenario: script.Scenario, each: script.CallScript, began: float, found: naive_policy.Outcome) -> None:
    if each.deadline is not None:
        assert all(start < began + each.deadline for start in found.starts)
    repeats = [at for at, spec in enumerate(scenario.parts) if isinstance(spec, script.Retry | script.Hedge)]
    gates_inside = any(isinstance(spec, _GATES) for spec in scenario.parts[min(repeats, default=len(scenario.parts)) :])
    if found.how in _REJECTIONS and not gates_inside:
        assert found.starts == ()


def _check_free(part: object) -> None:
    """Check that no ended call has kept anything of a part."""
    match part:
        case CircuitBreaker():
            phase = part._circuit.phase
            assert not (isinstance(phase, HalfOpen) and phase.leases)
        case Bulkhead() | AdaptiveLimit():
            assert (part.snapshot().running, part.snapshot().queued) == (0, 0)
        case Shed():
            assert part.snapshot().running == 0
        case Drain():
            assert not part.in_flight
        case _:
            pass


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
        case AdaptiveLimit():
            assert isinstance(model, naive_limits.Slots)
            assert (part.limit, part.snapshot().cuts) == (int(model.limit), model.cuts)
        case RateLimit():
            assert isinstance(model, naive_limits.Rate)
            snapshot = part.snapshot()
            assert (snapshot.admitted, snapshot.rejected, snapshot.abandoned) == tuple(model.totals)
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


def _call(start: float, *, ends: str = "answer", blocks: float = 0.0, **settings: Any) -> script.CallScript:
    fate: dict[str, Any] = {"cancelled": None, "deadline": None, "serves_retry": False, "level": 2, **settings}
    return script.CallScript(start=start, steps=(script.Step(seconds=1.0, ends=ends, blocks=blocks),), **fate)


_ONE_SLOT = (script.Bulkhead(size=1, queue=1),)
_SLOT_FOR_A_CANCELLED_CALL = script.Scenario(parts=_ONE_SLOT, calls=(_call(0.0, cancels=1), _call(0.5)))
_SLOT_AFTER_THE_DEADLINE = script.Scenario(parts=_ONE_SLOT, calls=(_call(0.0, blocks=2.0), _call(0.5, deadline=1.0)))
_TURN_GIVEN_BACK = script.Scenario(
    parts=(script.Rate(calls=1, seconds=2.0, burst=1, wait=5.0),),
    calls=(_call(0.0), _call(0.1, cancelled=0.3), _call(0.7)),
)
_FAILING_PROBE = script.Scenario(
    parts=(script.Breaker(threshold=1, recovery=1.0), script.Retry(attempts=2, base=0.3, cap=1.0)),
    calls=(_call(0.0, ends="Down"), _call(4.0, ends="Down")),
)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(_machine, max_examples=1_000, derandomize=True)
@example(scenario=_SLOT_FOR_A_CANCELLED_CALL)
@example(scenario=_SLOT_AFTER_THE_DEADLINE)
@example(scenario=_TURN_GIVEN_BACK)
@example(scenario=_FAILING_PROBE)
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
