"""Parts together, under calls that fail, hang, hedge and are cancelled at any moment: nothing leaks or multiplies."""

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cqox.errors import Rejected
from cqox.resilience import (
    Bulkhead,
    CircuitBreaker,
    CircuitOpened,
    CircuitState,
    Hedge,
    Policy,
    Retry,
    Timeout,
    deadline,
)
from tests.resilience.conftest import Down, run_async

calls = st.lists(
    st.tuples(
        st.floats(0, 20),  # when it is made
        st.floats(0, 12),  # how long the callee takes
        st.booleans(),  # whether it fails
        st.floats(0.1, 30),  # when the caller goes away
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=40, deadline=None)
@given(calls=calls, permits=st.integers(1, 2), deadlines=st.booleans())
def test_permits_bound_probes_and_everything_is_given_back(
    backend: str, calls: list[tuple[float, float, bool, float]], permits: int, deadlines: bool
) -> None:
    breaker = CircuitBreaker("engine", 2, 3.0, half_open_max_calls=permits, probe_timeout=50.0)
    bulkhead = Bulkhead(4, max_queued=4)
    parts = (breaker, Retry(2, 0.5, jitter=False, idempotent=True), bulkhead, Hedge(1.0, 3), Timeout(8.0))
    probing: set[object] = set()
    worst = 0
    # Calls that an opened circuit has left behind may overlap with a probe, but are none, nor are probes of before.
    breaker.subscribe(lambda event: probing.clear() if isinstance(event, CircuitOpened) else None)

    async def work(seconds: float, fails: bool) -> str:
        nonlocal worst
        token = object()
        if breaker.state is CircuitState.HALF_OPEN:
            probing.add(token)
            worst = max(worst, len(probing))
        try:
            await anyio.sleep(seconds)
        finally:
            probing.discard(token)
        if fails:
            raise Down
        return "up"

    guarded = Policy("engine", *parts)(work)

    async def caller(at: float, seconds: float, fails: bool, patience: float) -> None:
        await anyio.sleep(at)
        with anyio.move_on_after(patience):
            try:
                with deadline(patience / 2 if deadlines else 1e6):
                    await guarded(seconds, fails)
            except (Down, Rejected, TimeoutError):
                pass

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for call in calls:
                group.start_soon(caller, *call)
        assert worst <= permits
        snapshot = breaker.snapshot()
        assert snapshot.calls == len(calls)
        assert (bulkhead.snapshot().running, bulkhead.snapshot().queued) == (0, 0)
        # Nothing wedges it: once the recovery is over, successes close it.
        await anyio.sleep(60.0)
        for _ in range(permits + 1):
            assert await guarded(0.0, False) == "up"
        assert breaker.state is CircuitState.CLOSED

    run_async(backend, main)
