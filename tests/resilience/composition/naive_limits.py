"""Limits of the naive model: slots, a rate, shedding and a drain."""

import math

from tests.resilience.composition import scripted_calls as script
from tests.resilience.composition.naive_call import Call, Failed, Inner, Part
from tests.resilience.composition.naive_simulation import Signal, Simulation, Steps, Stopped, Wait


class Slots(Part):
    """A bulkhead, or an adaptive limit where `spec` is one."""

    def __init__(self, spec: script.Bulkhead | script.Adaptive, sim: Simulation) -> None:
        self.spec, self.sim = spec, sim
        self.limit, self.cuts, self.running, self.most = float(spec.size), 0, 0, 0
        self.queue: list[tuple[Call, Signal, list[str]]] = []

    def around(self, call: Call, inner: Inner) -> Steps:
        call.unexpired()
        if self.running < int(self.limit):
            self.running += 1
        else:
            yield from self._wait(call)
        began, generation = self.sim.now, self.cuts
        try:
            answer = yield from inner(call)
        except BaseException as error:
            self._learn(self._is_overload(call, began, error), generation, failed=True)
            raise
        else:
            slow = isinstance(self.spec, script.Adaptive) and call.seconds("work", began) >= self.spec.slow
            self._learn(slow, generation, failed=False)
            return answer
        finally:
            self.running -= 1
            self._let_in()

    def _wait(self, call: Call) -> Steps:
        if len(self.queue) >= self.spec.queue:
            least = min(self.queue, key=lambda waiter: waiter[0].script.level, default=None)
            if least is None or least[0].script.level >= call.script.level:
                raise Failed("BulkheadFull", rejection=True)
            out = [waiter for waiter in self.queue if waiter[0].script.level == least[0].script.level][-1]
            self.queue.remove(out)
            out[2].append("out")
            self.sim.fire(out[1])
        waiter: tuple[Call, Signal, list[str]] = (call, Signal(), [])
        self.queue.append(waiter)
        try:
            yield from call.waiting(Wait(signal=waiter[1]))
        except Stopped:
            if waiter in self.queue:
                self.queue.remove(waiter)
            elif waiter[2] == ["in"]:
                self.running -= 1
                self._let_in()
            raise
        if waiter[2] == ["out"]:
            raise Failed("BulkheadFull", rejection=True)
        return None

    def _let_in(self) -> None:
        while self.queue and self.running < int(self.limit):
            first = max(self.queue, key=lambda waiter: waiter[0].script.level)
            self.queue.remove(first)
            first[2].append("in")
            self.running += 1
            self.sim.fire(first[1])

    def _is_overload(self, call: Call, began: float, error: BaseException) -> bool:
        if isinstance(error, Stopped):
            return error.scope.announced and call.had_fair_share(began)
        assert isinstance(error, Failed)
        return error.kind in ("AttemptTimeout", "TimeoutError") and not error.before_call

    def _learn(self, overload: bool, generation: int, *, failed: bool) -> None:
        if not isinstance(self.spec, script.Adaptive):
            return
        if overload and generation == self.cuts:
            self.cuts += 1
            self.limit = max(1.0, self.limit * 0.9)
        elif not overload and not failed and 2 * self.running >= self.limit:
            self.limit = min(200.0, self.limit + 1 / self.limit)


class Rate(Part):
    """Turns at a rate: a bucket, the turns that were promised, and those that were given back."""

    def __init__(self, spec: script.Rate, sim: Simulation) -> None:
        self.spec, self.sim = spec, sim
        self.interval = spec.seconds / spec.calls
        self.level, self.at = float(spec.burst), 0.0
        self.totals = [0, 0, 0]  # admitted, rejected, and given up while they waited
        self.promised: list[float] = []
        self.returned: list[float] = []

    def around(self, call: Call, inner: Inner) -> Steps:
        call.unexpired()
        now = self.sim.now
        self._settle()
        turn = self._next()
        if turn - now > min(self.spec.wait, call.remaining()):
            self.totals[1] += 1
            raise Failed("RateLimited", rejection=True)
        self.totals[0] += 1
        if turn in self.returned:
            self.returned.remove(turn)
        self.promised.append(turn)
        if turn > now:
            try:
                yield from call.waiting(Wait(until=turn))
            except Stopped:
                self._settle()
                self.promised.remove(turn)
                self.returned.append(turn)
                self.totals[0] -= 1
                self.totals[2] += 1
                raise
        self._settle()
        return (yield from inner(call))

    def _next(self) -> float:
        if not self.promised:
            missing = 1.0 - self.level
            return self.sim.now + (0.0 if missing <= 1e-9 else missing * self.interval)
        return min(self.returned) if self.returned else max(self.promised) + self.interval

    def _settle(self) -> None:
        for turn in sorted(turn for turn in self.promised if turn <= self.sim.now):
            self.promised.remove(turn)
            self._fill(turn)
            self.level -= 1.0
        self._fill(self.sim.now)
        last = max(self.promised, default=-math.inf)
        self.returned = [turn for turn in self.returned if self.sim.now <= turn <= last]

    def _fill(self, now: float) -> None:
        self.level = min(float(self.spec.burst), self.level + (now - self.at) / self.interval)
        self.at = now


class Shed(Part):
    SHARES = (0.6, 0.75, 0.9, 1.0)

    def __init__(self, spec: script.Shed) -> None:
        self.capacity, self.running = spec.capacity, 0

    def around(self, call: Call, inner: Inner) -> Steps:
        call.unexpired()
        if self.running / self.capacity >= self.SHARES[call.script.level]:
            raise Failed("Shed", rejection=True)
        self.running += 1
        try:
            return (yield from inner(call))
        finally:
            self.running -= 1


class Drain(Part):
    def __init__(self, spec: script.Drain, sim: Simulation) -> None:
        self.at, self.sim = spec.at, sim

    def around(self, call: Call, inner: Inner) -> Steps:
        call.unexpired()
        if self.sim.now >= self.at:
            raise Failed("Draining", rejection=True)
        return (yield from inner(call))
