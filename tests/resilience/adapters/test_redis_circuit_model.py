"""Processes that share a circuit against a simple model: interleavings of calls, time, outages and lost answers.

The model knows the probes that are under way with a shared permit, by the generation that admitted them.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cqox.errors import CircuitOpen
from cqox.resilience import CircuitState
from cqox.resilience.adapters.redis_circuit import RedisCircuitBreaker, Sharing
from cqox.resilience.testing import VirtualTimeLoop
from tests.resilience.adapters.redis_model import RedisModel

PROCESSES, RECOVERY, LEASE, REFRESH, TIMEOUT = 3, 4.0, 3.0, 1.0, 0.25
LATE = 0.2  # seconds that a request to Redis takes where it is far


class Down(Exception):
    """The dependency is down."""


@dataclass(eq=False)
class Call:
    """A call in the dependency."""

    process: int
    task: asyncio.Task[None] | None
    probe: bool
    shared: bool
    generation: int
    began: float
    end: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None


class Processes(RuleBasedStateMachine):
    """Three processes, a dependency and a Redis."""

    @initialize(permits=st.integers(1, 2))
    def start(self, permits: int) -> None:
        self.permits = permits
        self.loop = VirtualTimeLoop(start=1_000_000.0)
        self.redis = RedisModel(self.loop.time)
        self.calls: list[Call] = []
        self.breakers = [
            RedisCircuitBreaker(
                "engine",
                self.redis,
                failure_threshold=2,
                recovery_timeout=RECOVERY,
                half_open_max_calls=permits,
                probe_timeout=LEASE,
                refresh=REFRESH,
                redis_timeout=TIMEOUT,
            )
            for _ in range(PROCESSES)
        ]
        self.generations = [0] * PROCESSES
        self.sharing = [self.loop.create_task(breaker.share()) for breaker in self.breakers]
        self.tasks: set[asyncio.Task[None]] = set()
        self.pass_time(0.1)

    def pass_time(self, seconds: float) -> None:
        self.loop.run_until_complete(anyio.sleep(seconds))

    def begin(self, process: int) -> None:
        """Call the dependency, which hangs until `end`, unless the call is refused."""
        breaker = self.breakers[process]

        async def dependency() -> None:
            call = Call(
                process=process,
                task=asyncio.current_task(),
                probe=breaker.state is CircuitState.HALF_OPEN,
                shared=breaker.sharing is Sharing.SHARED,
                generation=breaker.snapshot().generation,
                began=self.loop.time(),
            )
            self.calls.append(call)
            event(f"probe={call.probe} shared={call.shared}")
            try:
                await call.end.wait()
                if call.error is not None:
                    raise call.error
            finally:
                self.calls.remove(call)

        async def guarded() -> None:
            with suppress(CircuitOpen, Down):
                await breaker(dependency)()

        task = self.loop.create_task(guarded())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def end(self, call: Call, error: Exception | None) -> None:
        breaker = self.breakers[call.process]
        time = 0.01 if self.redis.mode == "up" else TIMEOUT + 0.01
        self.pass_time(time)  # earlier outcomes reach Redis
        state, stale, operations = breaker.state, breaker.snapshot().stale, len(self.redis.operations)
        record = (self.redis.generation, self.redis.probe_at, self.redis.successes)
        call.error = error
        call.end.set()
        self.loop.run_until_complete(asyncio.wait([call.task]))
        if breaker.snapshot().stale > stale:
            event("a stale result")
            assert breaker.state is state
            self.pass_time(time)
            if self.redis.mode in ("up", "far", "back") and set(self.redis.operations[operations:]) <= {
                "conclude",
                "read",
            }:
                assert record == (self.redis.generation, self.redis.probe_at, self.redis.successes)

    @rule(process=st.integers(0, PROCESSES - 1))
    def call(self, process: int) -> None:
        self.begin(process)

    @rule(seconds=st.sampled_from([0.0, 0.3, RECOVERY - 0.1, RECOVERY + 0.1]), calls=st.integers(1, 2))
    def all_call_at_once(self, seconds: float, calls: int) -> None:
        self.pass_time(seconds)
        for process in [*range(PROCESSES)] * calls:
            self.begin(process)
        self.pass_time(0.01)

    @rule(which=st.integers(0, 5), failed=st.booleans())
    def finish(self, which: int, failed: bool) -> None:
        if which < len(self.calls):
            self.end(self.calls[which], Down() if failed else None)

    @rule(failed=st.booleans())
    def finish_all(self, failed: bool) -> None:
        for call in tuple(self.calls):
            self.end(call, Down() if failed else None)

    @rule(process=st.integers(0, PROCESSES - 1))
    def trip(self, process: int) -> None:
        for _ in range(2):
            before = len(self.calls)
            self.begin(process)
            self.pass_time(0.01)
            if len(self.calls) > before:
                self.end(self.calls[-1], Down())

    @rule(which=st.integers(0, 5))
    def cancel(self, which: int) -> None:
        if which < len(self.tasks):
            task = sorted(self.tasks, key=lambda task: task.get_name())[which]
            task.cancel()
            self.loop.run_until_complete(asyncio.wait([task]))

    @rule(seconds=st.sampled_from([0.0005, 0.05, 0.5, LEASE - 0.1, LEASE + 0.1]))
    def wait(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(mode=st.sampled_from(["up", "up", "up", "up", "far", "back", "down", "slow", "lost", "hung"]))
    def turn_redis(self, mode: str) -> None:
        self.redis.mode = mode

    @rule()
    def redis_returns(self) -> None:
        self.redis.mode = "up"
        self.pass_time(REFRESH + TIMEOUT + 0.1)

    @rule()
    def lose_data(self) -> None:
        self.redis.lose_data()

    @invariant()
    def no_more_probes_than_permits(self) -> None:
        if not hasattr(self, "calls"):
            return
        now = self.loop.time()
        valid = [call for call in self.calls if call.probe and call.shared and now - call.began < LEASE - LATE]
        for generation in {call.generation for call in valid}:
            assert len([call for call in valid if call.generation == generation]) <= self.permits

    @invariant()
    def no_generation_returns(self) -> None:
        if not hasattr(self, "calls"):
            return
        for process, breaker in enumerate(self.breakers):
            generation = breaker.snapshot().generation
            assert generation == 0 or generation >= self.generations[process]  # 0: Redis has lost its data
            self.generations[process] = max(generation, self.generations[process])

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            self.redis.mode = "up"
            self.pass_time(2 * REFRESH + RECOVERY + LEASE)
            self.finish_all(failed=False)
            self.pass_time(REFRESH + TIMEOUT + 0.1)
            for _ in range(self.permits + 1):
                for process in range(PROCESSES):
                    self.begin(process)
                    self.pass_time(0.01)
                    self.finish_all(failed=False)
                self.pass_time(REFRESH + 0.1)
            # The dependency answers and Redis too: nothing is wedged, and all agree.
            assert [breaker.state for breaker in self.breakers] == [CircuitState.CLOSED] * PROCESSES
            assert [breaker.sharing for breaker in self.breakers] == [Sharing.SHARED] * PROCESSES
            assert self.redis.probe_at == 0
            for snapshot in (breaker.snapshot() for breaker in self.breakers):
                assert snapshot.generation == self.redis.generation
        finally:
            left = [*self.sharing, *self.tasks]
            for task in left:
                task.cancel()
            self.loop.run_until_complete(asyncio.wait(left))
            self.loop.close()


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
