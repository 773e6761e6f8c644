"""A circuit against a naive model, over thousands of interleavings, and under real threads."""

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from random import Random

import pytest
import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from cqox.errors import CircuitOpen
from cqox.resilience import CircuitBreaker
from cqox.resilience.circuit.state import HalfOpen
from cqox.resilience.testing import FakeClock

RECOVERY, LEASE, PERMITS, THRESHOLD = 10, 7, 2, 3


@dataclass(eq=False)
class Call:
    """A call in progress: its permit, and its record in the model."""

    permit: object
    generation: int
    probe: bool
    started: int
    lost: bool = False


class Model:
    """Reference model of a circuit: whole seconds and one list of probes."""

    def __init__(self) -> None:
        self.now = 0
        self.state = "closed"
        self.generation = 0
        self.failures = 0
        self.successes = 0
        self.opened_at = 0
        self.probes: list[Call] = []
        self.counts = dict.fromkeys(["success", "failure", "ignored", "cancelled", "rejected", "stale"], 0)

    def move(self, state: str) -> None:
        self.state = state
        self.generation += 1
        self.failures = self.successes = 0
        self.probes = []
        self.opened_at = self.now

    def may_enter(self) -> bool:
        if self.state == "open" and self.now >= self.opened_at + RECOVERY:
            self.move("half_open")
        if self.state == "half_open":
            self.probes = [call for call in self.probes if self.now < call.started + LEASE]
            return len(self.probes) < PERMITS
        return self.state in ("closed", "disabled")

    def end(self, call: Call, how: str) -> None:
        late = call.probe and (call not in self.probes or self.now >= call.started + LEASE)
        if call in self.probes:
            self.probes.remove(call)
        if call.generation != self.generation or late:
            self.counts["stale"] += 1
            return
        self.counts[how] += 1
        if self.state == "closed":
            if how == "success":
                self.failures = 0
            elif how == "failure":
                self.failures += 1
                if self.failures == THRESHOLD:
                    self.move("open")
        elif self.state == "half_open":
            if how == "failure":
                self.move("open")
            elif how == "success":
                self.successes += 1
                if self.successes == PERMITS:
                    self.move("closed")


ENDINGS = {
    "success": None,
    "failure": ConnectionError("down"),
    "ignored": ValueError("not the dependency's"),
    "cancelled": asyncio.CancelledError(),
}


class Play:
    """A breaker and its model, which must agree after every step."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.breaker = CircuitBreaker(
            "model", THRESHOLD, float(RECOVERY), PERMITS, float(LEASE), failures=(ConnectionError,), clock=self.clock
        )
        self.model = Model()
        self.under_way = 0

    def call(self) -> Call | None:
        allowed = self.model.may_enter()
        try:
            permit = self.breaker.admit(None)
        except CircuitOpen:
            assert not allowed
            self.model.counts["rejected"] += 1
            return None
        assert allowed
        call = Call(permit, self.model.generation, self.model.state == "half_open", self.model.now)
        if call.probe:
            self.model.probes.append(call)
        self.under_way += 1
        return call

    def end(self, call: Call, how: str) -> None:
        self.under_way -= 1
        error = ENDINGS[how]
        call.permit.succeed("value") if error is None else call.permit.fail(error)
        self.model.end(call, how)

    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.model.now += seconds

    def command(self, command: str) -> None:
        getattr(self.breaker, command)()
        state = {"reset": "closed", "isolate": "isolated", "disable": "disabled"}[command]
        if command == "reset" or self.model.state != state:
            self.model.move(state)

    def agree(self) -> None:
        snapshot = self.breaker.snapshot()
        expected = {"isolated": "open", "disabled": "closed"}.get(self.model.state, self.model.state)
        assert snapshot.state.value == expected
        assert {name: getattr(snapshot, name) for name in self.model.counts} == self.model.counts
        assert snapshot.calls == sum(self.model.counts.values())
        if self.model.state == "closed":
            assert snapshot.recent_failures == self.model.failures
        phase = self.breaker._circuit.phase
        if isinstance(phase, HalfOpen):
            assert 0 <= len(phase.leases) <= min(PERMITS, self.under_way)


class CircuitMachine(RuleBasedStateMachine):
    """State machine whose steps are chosen and shrunk by Hypothesis."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.play = Play()

    @rule(target=calls)
    def call(self) -> Call | None:
        return self.play.call()

    @rule(call=consumes(calls), how=st.sampled_from(sorted(ENDINGS)))
    def end(self, call: Call | None, how: str) -> None:
        if call is not None:
            self.play.end(call, how)

    @rule(seconds=st.sampled_from([1, 3, 7, 10]))
    def wait(self, seconds: int) -> None:
        self.play.wait(seconds)

    @rule(command=st.sampled_from(["reset", "isolate", "disable"]))
    def command(self, command: str) -> None:
        self.play.command(command)

    @invariant()
    def agree(self) -> None:
        self.play.agree()


CircuitMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)


class TestTheModel(CircuitMachine.TestCase):
    """Test case of the state machine."""


def test_ten_thousand_interleavings_agree_with_the_model() -> None:
    states = set()
    for seed in range(10_000):
        rng, play, calls = Random(seed), Play(), []
        for _ in range(15):
            step = rng.random()
            if step < 0.45:
                call = play.call()
                calls += [] if call is None else [call]
            elif step < 0.8 and calls:
                how = rng.choices(["failure", "success", "ignored", "cancelled"], [6, 2, 1, 1])[0]
                play.end(calls.pop(rng.randrange(len(calls))), how)
            elif step < 0.98:
                play.wait(rng.choice([1, 3, 7, 10]))
            else:
                play.command(rng.choice(["reset", "isolate", "disable"]))
            play.agree()
            states.add((play.model.state, play.under_way > PERMITS, play.model.counts["stale"] > 0))
    assert {state for state, _, _ in states} == {"closed", "open", "half_open", "isolated", "disabled"}
    assert ("half_open", True, True) in states


@pytest.mark.parametrize("state", ["closed", "opening"])
def test_eight_threads_count_exactly(state: str) -> None:
    threshold = 10**9 if state == "closed" else 1
    breaker = CircuitBreaker("threads", failure_threshold=threshold, recovery_timeout=0.0001)
    made = {"success": 0, "failure": 0, "rejected": 0}
    lock, start = threading.Lock(), threading.Barrier(8)

    @breaker
    def call(number: int) -> None:
        if number % 50 == 0:
            raise ConnectionError

    def work() -> None:
        mine = dict.fromkeys(made, 0)
        start.wait()
        for number in range(10_000):
            try:
                call(number)
                mine["success"] += 1
            except ConnectionError:
                mine["failure"] += 1
            except CircuitOpen:
                mine["rejected"] += 1
        with lock:
            for how, count in mine.items():
                made[how] += count

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    snapshot = breaker.snapshot()
    assert snapshot.calls == sum(made.values()) == 80_000
    assert snapshot.rejected == made["rejected"]
    assert snapshot.success + snapshot.failure + snapshot.stale == made["success"] + made["failure"]
    if state == "closed":
        assert (snapshot.success, snapshot.failure, snapshot.stale) == (made["success"], made["failure"], 0)


def test_threads_race_for_exactly_one_permit() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker("threads", failure_threshold=1, recovery_timeout=1.0, clock=clock)
    for _ in range(200):
        breaker.reset()
        with pytest.raises(ConnectionError), breaker:
            raise ConnectionError
        clock.advance(1)
        start, admitted = threading.Barrier(4), []

        def probe(start=start, admitted=admitted) -> None:
            start.wait()
            with contextlib.suppress(CircuitOpen):
                admitted.append(breaker.admit(None))

        threads = [threading.Thread(target=probe) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(admitted) == 1


def test_one_breaker_serves_asyncio_trio_and_threads_at_once() -> None:
    breaker = CircuitBreaker("shared", failure_threshold=3, recovery_timeout=0.0005, half_open_max_calls=2)
    counted = threading.Lock()
    made = {"success": 0, "failure": 0, "rejected": 0}

    def tally(error: BaseException | None) -> None:
        how = "success" if error is None else "rejected" if isinstance(error, CircuitOpen) else "failure"
        with counted:
            made[how] += 1

    def step(number: int) -> None:
        if number % 7 == 0:
            raise ConnectionError

    @breaker
    def plain(number: int) -> None:
        step(number)

    @breaker
    async def on_asyncio(number: int) -> None:
        await asyncio.sleep(0)
        step(number)

    @breaker
    async def on_trio(number: int) -> None:
        await trio.lowlevel.checkpoint()
        step(number)

    def in_thread() -> None:
        for number in range(3000):
            try:
                plain(number)
                tally(None)
            except (ConnectionError, CircuitOpen) as error:
                tally(error)

    def in_loop(call: object) -> object:
        async def main() -> None:
            for number in range(3000):
                try:
                    await call(number)
                    tally(None)
                except (ConnectionError, CircuitOpen) as error:
                    tally(error)

        return main

    threads = [
        threading.Thread(target=in_thread),
        threading.Thread(target=lambda: asyncio.run(in_loop(on_asyncio)())),
        threading.Thread(target=lambda: trio.run(in_loop(on_trio))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    snapshot = breaker.snapshot()
    assert snapshot.calls == sum(made.values()) == 9000
    assert snapshot.rejected == made["rejected"]
    assert snapshot.failure + snapshot.success + snapshot.stale == made["success"] + made["failure"]
    assert snapshot.ignored == snapshot.cancelled == 0
