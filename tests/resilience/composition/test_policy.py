"""Policies: order of parts, single calls, explanations and operation."""

import copy
import pickle

import pytest

from cqox.errors import CircuitOpen
from cqox.resilience import (
    AdaptiveLimit,
    CircuitBreaker,
    CircuitState,
    Criticality,
    Policy,
    RateLimit,
    Retry,
    Shed,
    Timeout,
    registry,
)
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.pipeline.part import Gate
from cqox.resilience.pipeline.permit import Permit
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.testing import FakeClock, Script
from tests.resilience.conftest import Down


class Tracer(Gate):
    """A recording gate, written as one outside of this package would be."""

    def __init__(self, name: str, trace: list[str]) -> None:
        self.name = name
        self.trace = trace

    def admit(self, deadline: AmbientDeadline | None) -> Permit:
        self.trace.append(f"{self.name} in")
        return TracerPermit(self)


class TracerPermit(Permit):
    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer

    def succeed(self, value: object) -> None:
        self.tracer.trace.append(f"{self.tracer.name} {value}")

    def fail(self, error: BaseException) -> None:
        self.tracer.trace.append(f"{self.tracer.name} {type(error).__name__}")


@pytest.mark.parametrize("awaited", [False, True])
def test_parts_run_outermost_first_exactly_as_written(run, awaited: bool) -> None:
    trace: list[str] = []
    clock = FakeClock()
    policy = Policy(
        "order",
        Tracer("a", trace),
        Tracer("b", trace),
        Retry(2, 0.0, idempotent=True, clock=clock),
        Tracer("c", trace),
        Timeout(5.0),
        Tracer("d", trace),
    )
    script = Script(Down(), "up")

    async def main() -> None:
        assert await policy.call(script.call) == "up"

    if awaited:
        run(main)
    else:
        assert policy.call(script) == "up"
    assert trace == [
        *["a in", "b in", "c in", "d in", "d Down", "c Down"],
        *["c in", "d in", "d up", "c up", "b up", "a up"],
    ]


def test_a_refusal_further_in_settles_what_is_further_out() -> None:
    trace: list[str] = []
    breaker = CircuitBreaker("shut", clock=FakeClock())
    breaker.isolate()
    with pytest.raises(CircuitOpen):
        Policy("p", Tracer("a", trace), breaker, Tracer("never", trace))(lambda: None)()
    assert trace == ["a in", "a CircuitOpen"]


def test_call_passes_arguments_and_results_of_every_kind(run) -> None:
    async def main() -> None:
        policy = Policy("p", Timeout(5.0))

        async def awaited(one: int, *, two: int) -> tuple[int, int]:
            return one, two

        async def items(count: int):
            for number in range(count):
                yield number

        assert await policy.call(awaited, 1, two=2) == (1, 2)
        assert policy.call(divmod, 7, 2) == (3, 1)
        assert [item async for item in policy.call(items, 3)] == [0, 1, 2]
        with pytest.raises(TypeError):
            policy.call(5)

    run(main)


def test_a_policy_never_changes() -> None:
    policy = Policy("p", Timeout(5.0))
    with pytest.raises(AttributeError, match="never changes"):
        policy.parts = ()


def test_a_copy_of_a_policy_is_the_policy_and_it_is_never_pickled() -> None:
    policy = Policy("one", Bulkhead(1))
    assert copy.copy(policy) is policy
    assert copy.deepcopy({"policy": policy})["policy"] is policy
    with pytest.raises(TypeError, match="policy one cannot be pickled"):
        pickle.dumps(policy)
    with pytest.raises(AttributeError, match="a policy never changes: parts cannot be deleted"):
        del policy.parts


@pytest.mark.parametrize(
    ("name", "parts", "error", "message"),
    [
        ("", (Timeout(1.0),), ValueError, "name must be a non-empty string"),
        ("p", (), ValueError, "at least one part"),
        ("p", (5,), TypeError, r"5 is no part: parts are objects such as Retry\(3\)"),
        ("p", (Timeout,), TypeError, r"Timeout is a class: write Timeout\(\.\.\.\)"),
        ("p", ([Timeout(1.0), Bulkhead(1)],), TypeError, r"a list is no part: give the parts one by one \(\*parts\)"),
        (
            "p",
            (Policy("inner", Timeout(1.0)),),
            TypeError,
            r"policy inner is no part: give its parts \(\*policy.parts\)",
        ),
    ],
)
def test_nonsense_is_refused(name: str, parts: tuple[object, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Policy(name, *parts)


def test_the_same_part_twice_is_refused() -> None:
    slots = Bulkhead(1)
    with pytest.raises(ValueError, match="is there twice"):
        Policy("p", slots, Retry(), slots)


def test_explain_describes_the_order_without_warnings_for_a_sound_one() -> None:
    policy = Policy("engine", Bulkhead(5), CircuitBreaker("engine"), Retry(3, 1.0, 60.0, idempotent=True), Timeout(5.0))
    first, bulkhead, *others = policy.explain().splitlines()
    assert first == "policy engine, outermost first:"
    assert bulkhead.startswith("  1. bulkhead")
    assert others == [
        "  2. circuit breaker engine: opens at 5 failures in a row, probes after 60 s",
        "  3. retry: up to 3 attempts, pauses from 1 s to 2 s, idempotent",
        "  4. timeout: 5 s for one attempt",
    ]


def test_explain_ends_with_the_warnings_of_a_questionable_order() -> None:
    *_, last = Policy("p", Retry(), Timeout(1.0)).explain().splitlines()
    assert last.startswith("  warning: ")
    assert "not idempotent" in last


def test_a_policy_is_operated_as_its_circuits_are() -> None:
    breaker = CircuitBreaker("engine", clock=FakeClock())
    policy = Policy("engine policy", breaker, Retry(3), Timeout(5.0))
    call = policy(lambda: "up")
    policy.isolate()
    with pytest.raises(CircuitOpen):
        call()
    policy.reset()
    assert call() == "up"
    snapshot = policy.snapshot()
    assert (snapshot.name, [part.kind for part in snapshot.parts]) == (
        "engine policy",
        ["CircuitBreaker", "Retry", "Timeout"],
    )
    assert snapshot.parts[0].state.success == 1
    policy.observe_only()
    policy.disable()
    with pytest.raises(TypeError, match="no circuit"):
        Policy("none", Timeout(1.0)).isolate()


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_threshold": 0},
        {"max_attempts": 0},
        {"max_concurrent": 0},
        {"min_limit": 0},
        {"burst": 0},
        {"capacity": 0},
    ],
)
def test_changes_are_made_together_or_not_at_all(wrong: dict[str, int]) -> None:
    parts = [Bulkhead(5), AdaptiveLimit(), RateLimit(5), Shed(5), CircuitBreaker("engine"), Retry(3)]
    policy = Policy("engine policy", *parts)
    right = {
        "max_delay": 30.0,
        "recovery_timeout": 9.0,
        "bulkhead.max_queued": 7,
        "max_wait": 2.0,
        "shares": {Criticality.SHEDDABLE: 0.1},
    }
    before = policy.snapshot(), policy.explain()
    with pytest.raises(ValueError, match=next(iter(wrong))):
        policy.reconfigure(**right, **wrong)
    assert (policy.snapshot(), policy.explain()) == before
    policy.reconfigure(**right)
    assert policy.part(Retry).settings.max_delay == 30.0
    assert policy.part(CircuitBreaker).settings.recovery_timeout == 9.0
    assert policy.part(Bulkhead).snapshot().max_queued == 7
    assert "waiting up to 2 s" in policy.part(RateLimit).describe()
    assert "sheddable from 10%" in policy.part(Shed).describe()


def test_a_part_from_elsewhere_is_changed_by_its_own_reconfigure() -> None:
    class Named(Tracer):
        def reconfigure(self, *, name: str) -> None:
            self.name = name

    part = Named("before", [])
    Policy("named", part).reconfigure(name="after")
    assert part.name == "after"


def test_a_policy_hands_changes_to_the_parts_that_know_them() -> None:
    policy = Policy("engine policy", Bulkhead(5), CircuitBreaker("engine"), Retry(3), Timeout(5.0))
    policy.reconfigure(failure_threshold=2, max_attempts=7, seconds=1.0, max_concurrent=9)
    assert policy.part(CircuitBreaker).settings.failure_threshold == 2
    assert policy.part(Retry).settings.max_attempts == 7
    assert policy.part(Timeout).seconds == 1.0
    assert policy.part(Bulkhead).snapshot().max_concurrent == 9
    with pytest.raises(TypeError, match="no setting 'attempts'"):
        policy.reconfigure(attempts=2, failure_threshold=1)
    assert policy.part(CircuitBreaker).settings.failure_threshold == 2
    with pytest.raises(LookupError, match="has no Tracer"):
        policy.part(Tracer)
    with pytest.raises(TypeError, match="kind must be a class of parts, such as Retry, not 'retry'"):
        policy.part("retry")  # type: ignore[type-var]


def test_a_decorated_function_has_the_breaker_of_its_policy() -> None:
    breaker = CircuitBreaker("engine")
    assert Policy("p", Retry(), breaker, Timeout(1.0))(lambda: None).breaker is breaker
    assert not hasattr(Policy("p", Timeout(1.0))(lambda: None), "breaker")


def test_a_single_call_refuses_what_a_decoration_refuses() -> None:
    async def probe() -> None: ...

    policy = Policy("p", CircuitBreaker("engine", probe=probe), Timeout(1.0))
    with pytest.raises(TypeError, match="coroutine function"):
        policy.call(lambda: None)


def test_one_breaker_in_two_policies_is_one_circuit() -> None:
    breaker = CircuitBreaker("shared", failure_threshold=1, clock=FakeClock())
    one, two = Policy("one", breaker, Timeout(1.0)), Policy("two", breaker, Timeout(9.0))
    with pytest.raises(Down):
        one(Script(Down()).__call__)()
    with pytest.raises(CircuitOpen):
        two(lambda: "up")()
    assert breaker.state is CircuitState.OPEN
    assert {"one", "two", "shared"} <= set(registry.keys())


def test_a_static_or_class_method_has_the_breaker_of_its_policy_too() -> None:
    breaker = CircuitBreaker("methods")

    class Client:
        @Policy("static", breaker)
        @staticmethod
        def static() -> str:
            return "static"

        @Policy("class", breaker)
        @classmethod
        def of_class(cls) -> str:
            return cls.__name__

    assert (Client.static(), Client().of_class()) == ("static", "Client")
    assert Client.static.breaker is Client.of_class.breaker is Client().of_class.breaker is breaker


def test_a_probe_that_plain_code_cannot_run_is_refused_when_it_is_set() -> None:
    async def probe() -> None: ...

    breaker = CircuitBreaker("engine")
    breaker(lambda: None)
    with pytest.raises(TypeError, match="cannot probe for synchronous code"):
        breaker.reconfigure(probe=probe)
    assert breaker.settings.probe is None
