"""Policies of keys: what each key has for itself, what all share, and which keys are remembered."""

import gc
import threading

import anyio
import pytest

from cqox.errors import BulkheadFull, CircuitOpen, RateLimited
from cqox.resilience import (
    AdaptiveLimit,
    Bulkhead,
    CallRejected,
    CircuitBreaker,
    CircuitOpened,
    Drain,
    Fallback,
    Hedge,
    Policy,
    RateLimit,
    Retry,
    RetryBudget,
    Shed,
    Timeout,
    registry,
)
from cqox.resilience.limits.fair_bulkhead import FairBulkhead
from cqox.resilience.pipeline.part import Gate
from cqox.resilience.pipeline.permit import Permit
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.testing import FakeClock, Script, capture_events
from tests.resilience.conftest import Down


def breakers(policy: Policy, *keys: object) -> list[CircuitBreaker]:
    return [policy.for_key(key).part(CircuitBreaker) for key in keys]


def fail(policy: Policy, key: object) -> None:
    with pytest.raises(Down):
        policy.for_key(key).call(Script(Down()))


def one_strike(**settings: int) -> Policy:
    return Policy("hosts", CircuitBreaker("hosts", failure_threshold=1, clock=FakeClock()), **settings)


def test_circuits_limits_and_budgets_are_of_the_key_and_the_rest_is_shared() -> None:
    budget = RetryBudget()
    parts = [
        Fallback(lambda error: None),
        Drain(),
        Shed(5),
        Bulkhead(5),
        FairBulkhead(5),
        AdaptiveLimit(),
        RateLimit(5),
        CircuitBreaker("hosts"),
        Retry(name="with a budget", budget=budget, idempotent=True),
        Hedge(1.0, budget=budget),
        Retry(name="without", idempotent=True),
        Hedge(1.0),
        Timeout(5.0),
    ]
    policy = Policy("hosts", *parts)
    one, two = policy.for_key("one"), policy.for_key("two")
    assert policy.for_key("one") is one
    assert (one.key, one.name, policy.key) == ("one", "hosts", None)
    own = [part.name for part, other, third in zip(one.parts, two.parts, parts, strict=True) if part is not other]
    assert own == ["bulkhead", "bulkhead", "adaptive limit", "rate limit", "hosts", "with a budget", "hedge"]
    shared = [part for part, other in zip(one.parts, two.parts, strict=True) if part is other]
    assert all(part in parts for part in shared)
    retry = one.part(Retry)
    assert retry.budget is not budget
    assert retry.budget is one.part(Hedge)._budget  # they shared one before, and do so for each key
    assert retry.budget is not two.part(Retry).budget


def test_a_key_in_trouble_leaves_the_others_alone(run) -> None:
    async def main() -> None:
        policy = Policy(
            "hosts", Bulkhead(1), RateLimit(2, 60.0), CircuitBreaker("hosts", failure_threshold=1), Timeout(5.0)
        )
        down, up = policy.for_key("down"), policy.for_key("up")
        with pytest.raises(Down):
            await down.call(Script(Down()).call)
        with pytest.raises(CircuitOpen):
            await down.call(Script("never").call)
        with pytest.raises(RateLimited):
            await down.call(Script("never").call)
        assert await up.call(Script("up").call) == "up"
        async with anyio.create_task_group() as group:
            group.start_soon(policy.for_key("slow").call, anyio.sleep, 1)
            await anyio.sleep(0.5)
            with pytest.raises(BulkheadFull):
                await policy.for_key("slow").call(anyio.sleep, 1)
            assert await up.call(Script("up").call) == "up"

    run(main)


def test_two_policies_with_one_breaker_have_one_circuit_for_each_key() -> None:
    breaker = CircuitBreaker("hosts", failure_threshold=1, clock=FakeClock())
    reads, writes = Policy("reads", breaker, Retry(1)), Policy("writes", breaker)
    fail(reads, "down")
    with pytest.raises(CircuitOpen):
        writes.for_key("down").call(lambda: None)
    assert writes.for_key("up").call(lambda: "up") == "up"


def test_the_least_recently_used_key_starts_over_when_it_returns() -> None:
    policy = Policy("hosts", CircuitBreaker("hosts", failure_threshold=2, clock=FakeClock()), most_keys=2)
    fail(policy, "a")
    assert breakers(policy, "a")[0].snapshot().recent_failures == 1
    for key in ("b", "c"):
        policy.for_key(key)
    assert list(policy.keys()) == ["b", "c"]
    gc.collect()
    assert breakers(policy, "a")[0].snapshot().recent_failures == 0


def test_a_key_whose_circuit_is_not_closed_is_never_forgotten() -> None:
    policy = one_strike(most_keys=2)
    fail(policy, "down")
    policy.for_key("isolated").isolate()
    policy.for_key("disabled").disable()
    for key in range(50):
        policy.for_key(key)
    gc.collect()
    assert {"down", "isolated", "disabled"} <= set(policy.keys())
    assert len(policy.keys()) == 4
    with pytest.raises(CircuitOpen):
        policy.for_key("down").call(lambda: None)
    snapshot = policy.snapshot()
    assert (snapshot.keys, snapshot.unsettled_keys) == (4, 3)
    assert policy.forget("down")
    gc.collect()
    assert policy.for_key("down").call(lambda: "over") == "over"
    assert not policy.forget("unknown")


def test_a_key_with_a_call_in_progress_keeps_its_state(run) -> None:
    async def main() -> None:
        policy = Policy("hosts", Bulkhead(1), most_keys=1)

        async def stream():
            while True:
                await anyio.sleep(1)
                yield

        async with anyio.create_task_group() as group:
            group.start_soon(policy.for_key("calls").call, anyio.sleep, 10)
            items = policy.for_key("streams").call(stream)
            await anext(items)
            for key in range(5):
                await policy.for_key(key).call(anyio.sleep, 0)
            gc.collect()
            assert list(policy.keys()) == [4]
            for busy in ("calls", "streams"):
                with pytest.raises(BulkheadFull):
                    await policy.for_key(busy).call(anyio.sleep, 0)
            await items.aclose()
        for free in ("calls", "streams"):
            await policy.for_key(free).call(anyio.sleep, 0)

    run(main)


def test_a_key_with_a_call_in_a_thread_keeps_its_state() -> None:
    policy, entered, leave = Policy("hosts", Bulkhead(1), most_keys=1), threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        leave.wait()

    thread = threading.Thread(target=lambda: policy.for_key("busy").call(hold))
    thread.start()
    entered.wait()
    policy.for_key("other")
    gc.collect()
    assert list(policy.keys()) == ["other"]
    with pytest.raises(BulkheadFull):
        policy.for_key("busy").call(lambda: None)
    leave.set()
    thread.join()


def test_settings_change_for_all_keys_old_and_new_together_or_not_at_all() -> None:
    clock = FakeClock()
    policy = Policy(
        "hosts",
        Bulkhead(5),
        AdaptiveLimit(),
        RateLimit(5, clock=clock),
        CircuitBreaker("hosts", clock=clock),
        Retry(3, budget=RetryBudget(clock=clock), idempotent=True),
    )
    old = policy.for_key("old")
    with pytest.raises(ValueError, match="max_attempts"):
        policy.reconfigure(failure_threshold=2, max_attempts=0)
    assert old.part(CircuitBreaker).settings.failure_threshold == 5
    policy.reconfigure(failure_threshold=2, max_attempts=7, max_concurrent=9, max_limit=8, max_wait=4.0)
    for each in (policy, old, policy.for_key("new")):
        assert each.part(CircuitBreaker).settings.failure_threshold == 2
        assert each.part(Retry).settings.max_attempts == 7
        assert each.part(Bulkhead).snapshot().max_concurrent == 9
        assert each.part(AdaptiveLimit).limit == each.part(AdaptiveLimit).snapshot().limit == 8
        assert "waiting up to 4 s" in each.part(RateLimit).describe()
    with pytest.raises(TypeError, match="the same settings for every key"):
        old.reconfigure(failure_threshold=1)
    budget = policy.part(Retry).budget
    assert budget is not None
    budget.reconfigure(ratio=0.0, floor_per_second=0.0)
    for each in (old, policy.for_key("newer")):
        assert each.part(Retry).budget.snapshot().capacity == 1.0


def test_an_operator_forces_all_keys_at_once_or_one() -> None:
    policy = one_strike()
    old = policy.for_key("old")
    registry_key = next(key for key in registry if registry[key] is policy)
    registry.isolate(registry_key)
    for key in ("old", "new"):
        with pytest.raises(CircuitOpen):
            policy.for_key(key).call(lambda: None)
    assert policy.snapshot().unsettled_keys == 0  # as any new key would be
    registry.reset(registry_key)
    old.isolate()
    with pytest.raises(CircuitOpen):
        old.call(lambda: None)
    assert policy.for_key("new").call(lambda: "up") == "up"
    policy.disable()
    fail(policy, "new")
    fail(policy, "new")
    assert policy.for_key("another").call(lambda: "up") == "up"


def test_events_have_the_name_of_the_part_and_the_key_in_an_attribute_alone() -> None:
    policy = one_strike()
    heard: list[object] = []
    policy.part(CircuitBreaker).subscribe(heard.append)
    with capture_events(CircuitOpened, CallRejected) as events:
        fail(policy, "secret.example")
        with pytest.raises(CircuitOpen) as caught:
            policy.for_key("secret.example").call(lambda: None)
    assert [(type(event), event.name, event.key) for event in events] == [
        (CircuitOpened, "hosts", "secret.example"),
        (CallRejected, "hosts", "secret.example"),
    ]
    assert heard == events[:1]
    assert "secret" not in repr(events) + str(caught.value)


def test_events_of_attempts_have_the_key() -> None:
    policy = Policy("hosts", Retry(2, 0.0, idempotent=True, clock=FakeClock()))
    with capture_events() as events:
        fail(policy, "a")
    assert {(event.name, event.key) for event in events} == {("hosts", "a")}


def test_the_registry_does_not_grow_with_keys() -> None:
    policy = one_strike()
    before = set(registry)
    for key in range(100):
        policy.for_key(key)
    assert set(registry) <= before


def test_a_probe_is_refused_as_it_cannot_test_a_key() -> None:
    policy = Policy("hosts", CircuitBreaker("hosts", probe=lambda: True))
    with pytest.raises(TypeError, match="has a probe, which cannot test a key"):
        policy.for_key("a")


def test_what_cannot_have_keys_is_refused() -> None:
    class Counting(Gate):
        name = "counting"

        def admit(self, deadline: AmbientDeadline | None) -> Permit:
            return Permit()

        def snapshot(self) -> object:
            return 0

    class Stateless(Counting):
        def snapshot(self) -> None:
            return None

    with pytest.raises(TypeError, match=r"has no state for each key: define renew\(\), or for_key\(\)"):
        Policy("hosts", Counting()).for_key("a")
    part = Stateless()
    assert Policy("hosts", part).for_key("a").parts == (part,)
    policy = one_strike()
    with pytest.raises(TypeError, match="unhashable"):
        policy.for_key([])
    with pytest.raises(TypeError, match="has no further keys"):
        policy.for_key("a").for_key("b")
    with pytest.raises(ValueError, match="most_keys"):
        one_strike(most_keys=0)
    assert repr(policy.for_key("a")).endswith(".for_key('a')")


def test_a_part_of_others_has_a_state_for_each_key_by_renew() -> None:
    class Counting(Gate):
        def __init__(self) -> None:
            self.name, self.calls = "counting", 0

        def renew(self) -> None:
            self.calls = 0

        def admit(self, deadline: AmbientDeadline | None) -> Permit:
            self.calls += 1
            return Permit()

    policy = Policy("hosts", Counting())
    for key in "aab":
        policy.for_key(key).call(lambda: None)
    assert [policy.for_key(key).part(Counting).calls for key in "ab"] == [2, 1]
    assert policy.part(Counting).calls == 0


def test_a_decorated_function_keeps_the_key_that_it_was_decorated_for() -> None:
    policy = one_strike(most_keys=1)

    @policy.for_key("kept")
    def call() -> None:
        raise Down

    with pytest.raises(Down):
        call()
    policy.for_key("kept").reset()
    for key in range(3):
        policy.for_key(key)
    gc.collect()
    assert breakers(policy, "kept") == [call.breaker]
