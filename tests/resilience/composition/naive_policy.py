"""A naive model of whole policies, written from the rules of the documentation.

Each part is one generator around the next. It knows nothing of stages, permits or shared frames. Lists are searched and
sums are summed again each time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.resilience.composition import scripted_calls as script
from tests.resilience.composition.naive_call import Call, Failed, Inner, Part
from tests.resilience.composition.naive_limits import Drain, Rate, Shed, Slots
from tests.resilience.composition.naive_simulation import Scope, Signal, Simulation, Steps, Stopped, Task, Wait

RANDOM = 0.3
"""The one number that the generator of the jitter draws."""
BUDGET_FLOOR = 0.07
"""Retries per second; with the ratio, a budget never saves up more than one retry."""
BUDGET_RATIO = 0.009


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a call.

    Attributes:
        how: what it returned, or the name of what it raised.
        at: when.
        starts: when the callee was called.
    """

    how: str
    at: float
    starts: tuple[float, ...]


@dataclass(eq=False)
class Admission:
    """The admission of a call to a circuit."""

    breaker: "Breaker"
    generation: int
    probe: bool
    at: float
    lease: float

    def is_current(self) -> bool:
        return self.generation == self.breaker.generation


class Breaker(Part):
    """A circuit: a state, a list of outcomes, a list of probes."""

    def __init__(self, spec: script.Breaker, inside: tuple[script.PartSpec, ...], sim: Simulation) -> None:
        self.spec, self.sim = spec, sim
        self.bounds = [part.seconds for part in inside if isinstance(part, script.Timeout)]
        self.state, self.generation, self.opened_at = "closed", 0, 0.0
        self.outcomes: list[bool] = []
        self.probes: list[Admission] = []
        self.moves: list[tuple[str, float]] = []
        self.totals = dict.fromkeys(["success", "failure", "ignored", "cancelled", "rejected", "stale"], 0)

    def around(self, call: Call, inner: Inner) -> Steps:
        call.unexpired()
        admission = self._admit(call)
        call.admissions.append(admission)
        try:
            answer = yield from inner(call)
        except BaseException as error:
            call.admissions.remove(admission)
            self._leave(admission, self._outcome(call, admission, error))
            raise
        call.admissions.remove(admission)
        self._leave(admission, "success")
        return answer

    def _admit(self, call: Call) -> Admission:
        now = self.sim.now
        if self.state == "open" and now >= self.opened_at + self.spec.recovery:
            self._move("half_open")
        self.probes = [probe for probe in self.probes if now < probe.lease]
        if self.state == "open" or (self.state == "half_open" and len(self.probes) >= self.spec.permits):
            self.totals["rejected"] += 1
            raise Failed("CircuitOpen", rejection=True)
        bound = min([*self.bounds, call.remaining()])
        lease = now + (bound + 1 if bound < math.inf else max(self.spec.recovery, 1.0))
        admission = Admission(self, self.generation, self.state == "half_open", now, lease)
        if admission.probe:
            self.probes.append(admission)
        return admission

    def _outcome(self, call: Call, admission: Admission, error: BaseException) -> str:
        if isinstance(error, Stopped):
            counts = error.scope.announced and call.had_fair_share(admission.at)
            return "failure" if counts else "cancelled"
        assert isinstance(error, Failed)
        if error.rejection or error.before_call or (self.spec.listed and error.kind == "Odd"):
            return "ignored"
        return "failure"

    def _leave(self, admission: Admission, outcome: str) -> None:
        late = admission.probe and (admission not in self.probes or self.sim.now >= admission.lease)
        if admission in self.probes:
            self.probes.remove(admission)
        if late or not admission.is_current():
            self.totals["stale"] += 1
            return
        self.totals[outcome] += 1
        if outcome not in ("success", "failure"):
            return
        self.outcomes.append(outcome == "failure")
        if self.state == "half_open":
            if outcome == "failure":
                self._move("open")
            elif len(self.outcomes) == self.spec.permits:
                self._move("closed")
        elif self._is_bad():
            self._move("open")

    def _is_bad(self) -> bool:
        window = self.spec.window
        if not window:
            return len(self.outcomes) >= self.spec.threshold and all(self.outcomes[-self.spec.threshold :])
        recent = self.outcomes[-window:]
        return len(recent) >= min(self.spec.threshold, window) and sum(recent) / len(recent) >= 0.5

    def _move(self, state: str) -> None:
        self.state, self.opened_at = state, self.sim.now
        self.generation += 1
        self.outcomes, self.probes = [], []
        self.moves.append((state, self.sim.now))


class Retry(Part):
    def __init__(self, spec: script.Retry, sim: Simulation) -> None:
        self.spec, self.sim = spec, sim
        self.saved, self.seen = 1.0, 0.0

    def around(self, call: Call, inner: Inner) -> Steps:
        call.unexpired()
        self._save(BUDGET_RATIO)
        attempt, outer = 1, list(call.admissions)
        while True:
            try:
                return (yield from inner(call))
            except Failed as error:
                if not self._may_follow(call, error, attempt, outer):
                    raise
                failure = error
            yield from call.waiting(Wait(until=self.sim.now + self._pause(attempt)))
            if not all(admission.is_current() for admission in outer):
                raise failure
            attempt += 1

    def _may_follow(self, call: Call, error: Failed, attempt: int, outer: list[Admission]) -> bool:
        if error.rejection or attempt == self.spec.attempts or (self.spec.listed and error.kind == "Odd"):
            return False
        if any(admission.probe or not admission.is_current() for admission in outer):
            return False
        if call.script.serves_retry or not self.spec.idempotent:
            return False
        return self._pause(attempt) < call.remaining() and self._may_pay()

    def _pause(self, attempt: int) -> float:
        pause = min(self.spec.base * 2 ** (attempt - 1), self.spec.cap)
        return pause * (0.5 + RANDOM) if self.spec.jitter else pause

    def _save(self, earned: float) -> None:
        self.saved = min(1.0, self.saved + BUDGET_FLOOR * (self.sim.now - self.seen) + earned)
        self.seen = self.sim.now

    def _may_pay(self) -> bool:
        self._save(0.0)
        if not self.spec.budget:
            return True
        if self.saved < 1.0:
            return False
        self.saved -= 1.0
        return True


class Timeout(Part):
    def __init__(self, spec: script.Timeout, sim: Simulation) -> None:
        self.seconds, self.sim = spec.seconds, sim

    def around(self, call: Call, inner: Inner) -> Steps:
        call.unexpired()
        scope = Scope(self.sim.now + self.seconds, began=self.sim.now)
        if call.remaining() > self.seconds:
            call.scopes.append(scope)
        try:
            return (yield from inner(call))
        except Stopped as stopped:
            if stopped.scope is not scope:
                raise
            waited = call.seconds("waits", scope.began) > 0
            expired = Failed("AttemptTimeout", before_call=waited and not call.had_fair_share(scope.began))
        finally:
            if scope in call.scopes:
                call.scopes.remove(scope)
        raise expired


class Fallback(Part):
    def around(self, call: Call, inner: Inner) -> Steps:
        try:
            return (yield from inner(call))
        except Failed:
            return "fallback"


class Hedge(Part):
    def __init__(self, spec: script.Hedge, sim: Simulation) -> None:
        self.spec, self.sim = spec, sim

    def around(self, call: Call, inner: Inner) -> Steps:
        call.unexpired()
        if any(admission.probe for admission in call.admissions):
            return (yield from inner(call))
        race = Race(self.sim)
        outer = list(call.admissions)
        why = Scope(math.inf, announced=False)
        try:
            race.start(call.child(), inner)
            following = self.sim.now + self.spec.delay
            while not race.over.fired:
                more = len(race.tasks) < self.spec.attempts and following < math.inf
                yield Wait(until=following if more else math.inf, signal=race.over)
                if race.over.fired or self.sim.now < following:
                    continue
                if call.script.serves_retry or not all(admission.is_current() for admission in outer):
                    following = math.inf
                    continue
                race.start(call.child(), inner)
                following += self.spec.delay
        except Stopped as stopped:
            why = stopped.scope
            raise
        finally:
            race.stop(why)
        if race.won:
            return race.answer
        assert race.errors
        raise race.errors[0]


class Race:
    """The attempts of one hedged call."""

    def __init__(self, sim: Simulation) -> None:
        self.sim, self.over, self.tasks = sim, Signal(), list[Task]()
        self.running, self.won, self.answer = 0, False, None
        self.errors: list[BaseException] = []

    def start(self, call: Call, inner: Inner) -> None:
        self.running += 1
        self.tasks.append(self.sim.spawn(inner(call), call.scopes, self._ended))

    def stop(self, scope: Scope) -> None:
        for task in self.tasks:
            self.sim.stop(task, scope)

    def _ended(self, answer: object, error: BaseException | None) -> None:
        if isinstance(error, Stopped):
            return
        self.running -= 1
        if error is not None:
            self.errors.append(error)
        elif not self.won:
            self.won, self.answer = True, answer
        if self.won or not self.running:
            self.sim.fire(self.over)


def make_part(spec: script.PartSpec, inside: Sequence[script.PartSpec], sim: Simulation) -> Part:
    """Return the model of one part; `inside` are those further in."""
    match spec:
        case script.Breaker():
            return Breaker(spec, tuple(inside), sim)
        case script.Retry():
            return Retry(spec, sim)
        case script.Timeout():
            return Timeout(spec, sim)
        case script.Bulkhead() | script.Adaptive():
            return Slots(spec, sim)
        case script.Rate():
            return Rate(spec, sim)
        case script.Shed():
            return Shed(spec)
        case script.Drain():
            return Drain(spec, sim)
        case script.Hedge():
            return Hedge(spec, sim)
        case script.Fallback():
            return Fallback()


def _callee(call: Call) -> Steps:
    call.unexpired()
    attempt = len(call.starts)
    call.starts.append(call.sim.now)
    step = call.script.steps[min(attempt, len(call.script.steps) - 1)]
    span = [call.sim.now, math.inf]
    call.note("work", span)
    try:
        if step.seconds:
            yield Wait(until=call.sim.now + step.seconds)
    finally:
        span[1] = call.sim.now
    call.sim.coincided |= step.blocks > 0
    if step.ends == "answer":
        return f"answer {attempt}"
    raise Failed(step.ends)


def _through(parts: Sequence[Part], call: Call) -> Steps:
    if not parts:
        return _callee(call)
    return parts[0].around(call, lambda inner: _through(parts[1:], inner))


def predict(scenario: script.Scenario) -> tuple[list[Outcome], list[Part], bool]:
    """Return how each call of `scenario` must end, the parts as they are afterwards, and whether that is certain.

    It is not where two timers go off at the same time, a callee blocks the loop, or a call cancels another.
    """
    sim = Simulation()
    parts = [make_part(spec, scenario.parts[at + 1 :], sim) for at, spec in enumerate(scenario.parts)]
    timeouts = tuple(part.seconds for part in scenario.parts if isinstance(part, script.Timeout))
    outcomes: dict[int, Outcome] = {}
    began: dict[int, Call] = {}

    def begin(number: int, each: script.CallScript) -> None:
        began[number] = call = Call(each, sim, timeouts)
        if each.cancelled is not None:
            call.scopes.append(Scope(sim.now + each.cancelled, announced=False))
        if each.deadline is not None:
            call.scopes.append(Scope(sim.now + each.deadline))

        def ended(answer: object, error: BaseException | None) -> None:
            how = str(answer)
            if isinstance(error, Stopped):
                how = "DeadlineExceeded" if error.scope.announced else "cancelled"
            elif isinstance(error, Failed):
                how = error.kind
            elif error is not None:
                raise error
            outcomes[number] = Outcome(how=how, at=sim.now, starts=tuple(call.starts))
            call.ended = True
            # What becomes of the other, which this one may have just woken, is not promised.
            sim.coincided |= each.cancels in began and not began[each.cancels].ended

        sim.spawn(_through(parts, call), call.scopes, ended)

    for number, each in enumerate(scenario.calls):
        sim.at(each.start, lambda number=number, each=each: begin(number, each))
    sim.run()
    return [outcomes[number] for number in range(len(scenario.calls))], parts, not sim.coincided
