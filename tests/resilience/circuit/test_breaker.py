"""Operation of a circuit: forced modes, reconfiguration and listeners."""

from collections.abc import Callable
from functools import partial

import anyio
import pytest

from cqox.errors import CircuitOpen
from cqox.resilience import (
    CircuitBreaker,
    CircuitClosed,
    CircuitHalfOpened,
    CircuitOpened,
    CircuitState,
    FailureRate,
    Policy,
    circuit_breaker,
)
from cqox.resilience.circuit import CircuitMode
from cqox.resilience.circuit.state import Circuit
from cqox.resilience.pipeline.permit import Permit
from cqox.resilience.testing import FakeClock, Script, capture_events
from tests.resilience.circuit.callees import fail, succeed
from tests.resilience.conftest import Down, World, outcome


def test_an_isolated_circuit_refuses_until_it_is_reset() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker("engine", clock=clock)
    breaker.isolate()
    assert (breaker.state, breaker.snapshot().mode) == (CircuitState.OPEN, CircuitMode.ISOLATED)
    clock.advance(1e6)
    with pytest.raises(CircuitOpen, match=r"OPEN for engine$"):
        breaker(succeed)()
    breaker.reset()
    assert breaker(succeed)() == "up"


def test_a_disabled_circuit_lets_everything_through_and_counts() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())
    breaker.disable()
    for _ in range(5):
        with pytest.raises(Down):
            breaker(fail)()
    assert (breaker.state, breaker.snapshot().mode) == (CircuitState.CLOSED, CircuitMode.DISABLED)
    assert breaker.snapshot().failure == 5
    breaker.reset()
    with pytest.raises(Down):
        breaker(fail)()
    assert breaker.state is CircuitState.OPEN


def test_an_observing_circuit_judges_and_never_refuses() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=60.0, clock=clock)
    breaker.observe_only()
    with pytest.raises(Down):
        breaker(fail)()
    assert breaker.state is CircuitState.OPEN
    with capture_events() as seen:
        assert breaker(succeed)() == "up"
    assert [(type(event).__name__, event.enforced) for event in seen] == [("CallRejected", False)]
    clock.advance(60)
    breaker(succeed)()
    assert breaker.state is CircuitState.CLOSED
    assert breaker.snapshot().rejected == 0
    assert breaker.snapshot().mode is CircuitMode.OBSERVE_ONLY


def test_reset_keeps_the_lifetime_totals_and_makes_calls_under_way_stale() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())

    def call() -> None:
        breaker.reset()
        raise Down

    with pytest.raises(Down):
        breaker(fail)()
    breaker.reset()
    with pytest.raises(Down):
        breaker(call)()
    assert breaker.state is CircuitState.CLOSED
    assert (breaker.snapshot().failure, breaker.snapshot().stale) == (1, 1)


def test_settings_change_at_run_time_without_losing_the_state() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker("engine", failure_threshold=5, recovery_timeout=60.0, clock=clock)
    for _ in range(2):
        with pytest.raises(Down):
            breaker(fail)()
    breaker.reconfigure(failure_threshold=3)
    with pytest.raises(Down):
        breaker(fail)()
    assert breaker.state is CircuitState.OPEN
    breaker.reconfigure(recovery_timeout=10.0)
    clock.advance(10)
    assert breaker(succeed)() == "up"
    with pytest.raises(ValueError, match="failure_threshold must be an integer of at least 1, not 0"):
        breaker.reconfigure(failure_threshold=0)
    with pytest.raises(TypeError, match="treshold"):
        breaker.reconfigure(treshold=1)
    assert breaker.settings.failure_threshold == 3


@pytest.mark.parametrize("make", [partial(CircuitBreaker, "engine"), circuit_breaker])
def test_a_threshold_that_a_failure_rate_leaves_without_effect_is_refused(make: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match=r"^failure_threshold must be left out .*, not 3: leave out one of the two"):
        make(failure_threshold=3, failure_rate=FailureRate())
    make(failure_threshold=5, failure_rate=FailureRate())


def test_a_running_circuit_changes_between_a_threshold_and_a_failure_rate() -> None:
    breaker, rate = CircuitBreaker("engine", failure_threshold=3), FailureRate()
    breaker.reconfigure(failure_rate=rate)
    with pytest.raises(ValueError, match=r"or set failure_rate to None$"):
        breaker.reconfigure(failure_threshold=4)
    with pytest.raises(ValueError, match="failure_threshold must be left out"):
        Policy("engine", breaker).reconfigure(failure_threshold=4, failure_rate=FailureRate(rate=0.1))
    assert (breaker.settings.failure_threshold, breaker.settings.failure_rate) == (3, rate)
    breaker.reconfigure(failure_threshold=4, failure_rate=None)
    assert (breaker.settings.failure_threshold, breaker.settings.failure_rate) == (4, None)


def test_a_call_under_way_counts_also_where_settings_changed_meanwhile() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=5, clock=FakeClock())

    def call() -> None:
        breaker.reconfigure(failure_threshold=1)
        raise Down

    with pytest.raises(Down):
        breaker(call)()
    assert breaker.state is CircuitState.OPEN


def test_no_call_hands_on_a_permit_of_settings_that_changed_while_it_entered(monkeypatch) -> None:
    breaker = CircuitBreaker("engine", failure_threshold=5, clock=FakeClock())
    share = Circuit.share

    def change_and_share(circuit: Circuit, permit: Permit, *made_for: object) -> Permit:
        monkeypatch.undo()
        breaker.reconfigure(failure_if=lambda value: value == "up")
        return share(circuit, permit, *made_for)

    monkeypatch.setattr(Circuit, "share", change_and_share)
    call = breaker(succeed)
    for _ in range(3):
        call()
    assert (breaker.snapshot().success, breaker.snapshot().failure) == (1, 2)


def test_listeners_see_each_transition_once_in_order_and_outside_of_the_lock() -> None:
    clock, seen = FakeClock(), []
    breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=10.0, clock=clock)

    def listen(event: object) -> None:
        seen.append((type(event), event.name, event.at))
        breaker.snapshot()  # would wait for ever under the lock

    def broken(event: object) -> None:
        raise ZeroDivisionError

    breaker.subscribe(broken)
    end = breaker.subscribe(listen)
    with pytest.raises(Down):
        breaker(fail)()
    clock.advance(10)
    breaker(succeed)()
    assert seen == [
        (CircuitOpened, "engine", 0.0),
        (CircuitHalfOpened, "engine", 10.0),
        (CircuitClosed, "engine", 10.0),
    ]
    end()
    breaker.isolate()
    assert len(seen) == 3


def test_a_callback_that_subscribed_twice_hears_twice_until_each_is_ended() -> None:
    breaker, heard = CircuitBreaker("engine", clock=FakeClock()), list[object]()
    hear = heard.append
    first, second = breaker.subscribe(hear), breaker.subscribe(hear)
    counts = []
    for end in (first, first, second):
        end()
        heard.clear()
        breaker.isolate()
        counts.append(len(heard))
        breaker.reset()
    assert counts == [1, 1, 0]


def test_a_listener_may_reset_the_circuit_that_it_hears_of() -> None:
    seen = []
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())

    def listen(event: object) -> None:
        if isinstance(event, CircuitOpened):
            breaker.reset()
        seen.append(type(event).__name__)

    breaker.subscribe(listen)
    with pytest.raises(Down):
        breaker(fail)()
    assert seen == ["CircuitOpened", "CircuitClosed"]
    assert breaker(succeed)() == "up"


def test_a_disabled_circuit_never_rejects_and_forgets_what_it_saw(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        breaker = CircuitBreaker("engine", failure_threshold=2, clock=world.clock)
        call = world.guard(breaker, *[Down] * 7, "up")
        breaker.disable()
        seen: list[object] = [await outcome(call) for _ in range(5)]
        breaker.reset()
        seen += [await outcome(call), breaker.state.value, await outcome(call), breaker.state.value]
        return [*seen, breaker.snapshot().failure]

    assert same_trace(scenario) == ["Down"] * 6 + ["closed", "Down", "open", 7]


@pytest.mark.parametrize("leave", [CircuitBreaker.reset, CircuitBreaker.observe_only])
def test_what_a_window_saw_while_disabled_opens_nothing_later(leave: Callable[[CircuitBreaker], None]) -> None:
    rate = FailureRate(window=10, minimum_calls=2, slow_call_seconds=1.0)
    breaker = CircuitBreaker("engine", failure_rate=rate, clock=FakeClock())
    call = breaker(Script(*[Down()] * 9, "up"))
    breaker.disable()
    for _ in range(8):
        with pytest.raises(Down):
            call()
    leave(breaker)
    with pytest.raises(Down):
        call()
    assert (breaker.state, breaker.snapshot().recent_failures) == (CircuitState.CLOSED, 1)


def test_a_circuit_that_is_disabled_while_a_call_waits_for_its_probe_lets_the_call_through(run) -> None:
    async def main() -> None:
        async def probe() -> bool:
            await anyio.sleep(1.0)
            return False

        breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=0.0, probe=probe)
        with pytest.raises(Down), breaker:
            raise Down
        call = breaker(Script("up").call)
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await anyio.sleep(0.5)
            breaker.disable()
        assert breaker.snapshot().success == 1

    run(main)


def test_a_circuit_that_a_success_opens_stays_open_for_its_recovery(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        await world.sleep(1000.0)
        rate = FailureRate(rate=0.5, window=4, minimum_calls=2)
        breaker = CircuitBreaker("engine", recovery_timeout=60.0, failure_rate=rate, clock=world.clock)
        call = world.guard(breaker, Down, "the second of two calls", "up")
        seen: list[object] = [await outcome(call), await outcome(call), breaker.state.value]
        await world.sleep(59.0)
        seen.append(await outcome(call))
        await world.sleep(1.0)
        return [*seen, await outcome(call)]

    assert same_trace(scenario) == ["Down", "the second of two calls", "open", "CircuitOpen", "up"]
