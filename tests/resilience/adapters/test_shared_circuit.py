"""The local state of a shared circuit: what it takes over, and what only counts."""

import pytest

from cqox.resilience import CircuitOpened, CircuitState
from cqox.resilience.adapters.shared_circuit import SharedCircuit
from cqox.resilience.circuit.settings import CircuitSettings
from cqox.resilience.circuit.state import Lease, Phase
from cqox.resilience.circuit.statistics import CircuitMode, Outcome
from cqox.resilience.runtime.clock import bind_clock
from cqox.resilience.testing import FakeClock, capture_events


@pytest.fixture
def circuit() -> SharedCircuit:
    settings = CircuitSettings(recovery_timeout=30.0, half_open_max_calls=2)
    return SharedCircuit("engine", settings, bind_clock("engine", FakeClock()))


def probing(circuit: SharedCircuit) -> tuple[Phase, Lease]:
    circuit.adopt(0.0, probe_in=0.0)
    entered = circuit.enter(0.0, 5.0)
    assert isinstance(entered, tuple)
    phase, lease = entered
    assert lease is not None
    return phase, lease


def test_an_adopted_opening_ends_when_it_ends_elsewhere(circuit: SharedCircuit) -> None:
    with capture_events(CircuitOpened) as events:
        phase = circuit.adopt(100.0, probe_in=7.0)
    assert phase is circuit.phase
    assert circuit.enter(106.0, 1.0) == pytest.approx(1.0)
    assert isinstance(circuit.enter(107.0, 1.0), tuple)
    assert [(event.name, event.reason) for event in events if isinstance(event, CircuitOpened)] == [
        ("engine", "opened in another process")
    ]


def test_an_adopted_closing_keeps_the_health_of_a_closed_circuit(circuit: SharedCircuit) -> None:
    closed = circuit.phase
    assert circuit.adopt(0.0, probe_in=None) is closed
    circuit.adopt(0.0, probe_in=1.0)
    assert circuit.adopt(0.0, probe_in=None).state is CircuitState.CLOSED


@pytest.mark.parametrize("mode", [CircuitMode.ISOLATED, CircuitMode.DISABLED])
def test_a_state_that_an_operator_forced_stays(circuit: SharedCircuit, mode: CircuitMode) -> None:
    circuit.force(mode, 0.0)
    forced = circuit.phase
    assert circuit.adopt(0.0, probe_in=1.0) is forced
    assert circuit.adopt(0.0, probe_in=None) is forced


def test_a_permit_that_is_given_back_is_free_and_counts_as_nothing(circuit: SharedCircuit) -> None:
    phase, lease = probing(circuit)
    circuit.give_back(phase, lease)
    circuit.give_back(phase, lease)
    assert circuit.snapshot(0.0).calls == 0
    assert all(isinstance(circuit.enter(0.0, 5.0), tuple) for _ in range(2))
    assert circuit.enter(0.0, 5.0) == 5.0


def test_a_settled_probe_counts_and_moves_nothing(circuit: SharedCircuit) -> None:
    phase, lease = probing(circuit)
    assert circuit.settle_probe(phase, lease, Outcome.FAILURE, 1.0)
    assert not circuit.settle_probe(phase, lease, Outcome.FAILURE, 1.0)
    snapshot = circuit.snapshot(1.0)
    assert (snapshot.failure, snapshot.stale, circuit.phase) == (1, 1, phase)
    late = circuit.enter(1.0, 5.0)
    assert isinstance(late, tuple)
    assert late[1] is not None
    assert not circuit.settle_probe(phase, late[1], Outcome.SUCCESS, 6.0)


def test_a_recorded_probe_moves_only_its_own_stay_in_the_state(circuit: SharedCircuit) -> None:
    phase, _ = probing(circuit)
    circuit.record_probe(phase, 1.0, failed=False)
    assert circuit.phase is phase
    circuit.record_probe(phase, 1.0, failed=False)
    assert circuit.phase.state is CircuitState.CLOSED
    circuit.record_probe(phase, 1.0, failed=True)
    assert circuit.phase.state is CircuitState.CLOSED
    phase, _ = probing(circuit)
    circuit.record_probe(phase, 2.0, failed=True)
    assert circuit.phase.state is CircuitState.OPEN
