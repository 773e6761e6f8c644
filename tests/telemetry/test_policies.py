import anyio
import pytest

from cqox.errors import CircuitOpen
from cqox.resilience import Bulkhead, CircuitBreaker, Policy, Retry, RetryBudget, Timeout, subscribe
from cqox.telemetry import metric_definitions, span
from cqox.telemetry.policies import PolicyListener, watch_policies
from tests.measured import Measured
from tests.recorded import Kept

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def listening():
    unsubscribe = subscribe(PolicyListener())
    yield
    unsubscribe()


async def broken() -> None:
    raise OSError("away")


@pytest.mark.usefixtures("listening")
async def test_attempts_show_as_waits_and_as_events_of_the_span_around(kept: Kept, measured: Measured) -> None:
    policy = Policy("p", Retry(3, base_delay=0.001, exceptions=(OSError,), idempotent=True))
    with pytest.raises(OSError, match="away"), span("call"):
        await policy.call(broken)
    call = kept.named("call")
    assert [event.name for event in call.events] == [
        "attempt failed",
        "retry scheduled",
        "attempt failed",
        "retry scheduled",
        "attempt failed",
        "gave up",
        "exception",
    ]
    for attempt in (2, 3):
        wait = kept.named(f"wait before attempt {attempt}")
        assert wait.parent.span_id == call.context.span_id
        assert wait.end_time > wait.start_time
    assert measured.of(metric_definitions.RETRIES) == [{"policy": "p"}] * 2
    assert measured.of(metric_definitions.GIVEN_UP) == [{"policy": "p"}]


@pytest.mark.usefixtures("listening")
async def test_a_call_that_succeeds_at_once_leaves_nothing_to_see(kept: Kept, measured: Measured) -> None:
    async def fine() -> None:
        await anyio.lowlevel.checkpoint()

    policy = Policy("p", Bulkhead(1), CircuitBreaker("b"), Retry(3, idempotent=True), Timeout(1.0))
    with span("call"):
        await policy.call(fine)
    assert [span.name for span in kept.spans] == ["call"]
    assert kept.named("call").events == ()
    assert measured.values == []


@pytest.mark.usefixtures("listening")
async def test_a_refusal_is_a_span_an_error_and_a_count_by_its_reason(kept: Kept, measured: Measured) -> None:
    breaker = CircuitBreaker("b", failure_threshold=1)
    with span("first"), pytest.raises(OSError, match="away"):
        await breaker(broken)()
    with pytest.raises(CircuitOpen), span("second"):
        await breaker(broken)()
    assert "circuit open" in [event.name for event in kept.named("first").events]
    refusal = kept.named("rejected by CircuitBreaker")
    assert refusal.parent.span_id == kept.named("second").context.span_id
    assert not refusal.status.is_ok
    assert measured.of(metric_definitions.REJECTIONS) == [{"policy": "b", "reason": "CircuitBreaker"}]
    assert measured.of(metric_definitions.CIRCUIT_TRANSITIONS) == [{"policy": "b", "state": "open"}]


@pytest.mark.usefixtures("listening")
async def test_what_is_cut_by_its_time_limit_is_counted(measured: Measured) -> None:
    policy = Policy("p", Timeout(0.001, name="slow"))
    with pytest.raises(TimeoutError):
        await policy.call(anyio.sleep_forever)
    assert len(measured.of(metric_definitions.TIMEOUTS)) == 1


async def test_the_state_of_what_is_registered_can_be_read_once_for_each_name() -> None:
    from cqox.resilience import Registry
    from cqox.telemetry import metrics

    policies = Registry()
    budget = RetryBudget(name="shared")
    kept_alive = [
        Policy(name, Bulkhead(4, 2, name=name), CircuitBreaker(name), Retry(2, budget=budget, idempotent=True))
        for name in ("one", "two")
    ]
    for policy in kept_alive:
        policies.add(policy.name, policy)
    end = watch_policies(policies)
    try:
        assert [labels for _, labels in metrics.read(metric_definitions.RETRY_BUDGET)] == [{"policy": "shared"}]
        assert [labels["policy"] for _, labels in metrics.read(metric_definitions.BULKHEAD_RUNNING)] == ["one", "two"]
        assert metrics.births(metric_definitions.RETRIES) == [{"policy": "one"}, {"policy": "two"}]
        assert {"policy": "one", "state": "open"} in metrics.births(metric_definitions.CIRCUIT_TRANSITIONS)
        reasons = {
            labels["reason"]
            for labels in metrics.births(metric_definitions.REJECTIONS)
            if labels["policy"] in ("one", "two")
        }
        assert reasons == {"CircuitBreaker", "Bulkhead"}
        limits = [(value, labels["policy"]) for value, labels in metrics.read(metric_definitions.BULKHEAD_LIMIT)]
        assert limits == [(4, "one"), (4, "two")]
        states = {
            (labels["policy"], labels["state"]): value
            for value, labels in metrics.read(metric_definitions.CIRCUIT_STATE)
        }
    finally:
        end()
    assert states[("one", "closed")] == 1.0
    assert states[("two", "open")] == 0.0
    assert metrics.read(metric_definitions.CIRCUIT_STATE) == []
