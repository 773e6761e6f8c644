"""Sliding windows against recomputation from all recorded outcomes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cqox.resilience.circuit.health import CountWindow, FailureRate, TimeWindow
from cqox.resilience.runtime.atomic_counter import AtomicCounter

outcomes = st.tuples(st.booleans(), st.booleans())


def counts(window: CountWindow | TimeWindow) -> tuple[int, int, int]:
    return window.calls, window.failures, window.slow


def recount(recorded: list[tuple[bool, bool]]) -> tuple[int, int, int]:
    return len(recorded), sum(failed for failed, _ in recorded), sum(slow for _, slow in recorded)


@settings(max_examples=300, deadline=None)
@given(size=st.integers(1, 12), recorded=st.lists(outcomes, max_size=60))
def test_a_window_of_calls_holds_the_last_so_many(size: int, recorded: list[tuple[bool, bool]]) -> None:
    window = CountWindow(FailureRate(window=size, slow_call_seconds=1.0))
    for at, (failed, slow) in enumerate(recorded, start=1):
        window.record(0.0, failed, slow)
        assert counts(window) == recount(recorded[:at][-size:])


@settings(max_examples=300, deadline=None)
@given(
    seconds=st.sampled_from([0.5, 10.0, 30.0]),
    steps=st.lists(st.tuples(st.floats(0, 0.4), outcomes), max_size=60),
    start=st.sampled_from([0.0, 1234.5, 1e6]),
)
def test_a_window_of_seconds_holds_what_is_younger_to_one_slice(
    seconds: float, steps: list[tuple[float, tuple[bool, bool]]], start: float
) -> None:
    window = TimeWindow(FailureRate(seconds=seconds, slow_call_seconds=1.0))
    now, recorded = start, []
    for share, (failed, slow) in steps:
        now += share * seconds
        window.record(now, failed, slow)
        recorded.append((now, (failed, slow)))
        surely = recount([outcome for at, outcome in recorded if now - at < seconds * (1 - 2.01 / TimeWindow.SLICES)])
        at_most = recount([outcome for at, outcome in recorded if now - at < seconds * (1 + 1e-9)])
        assert all(least <= seen <= most for least, seen, most in zip(surely, counts(window), at_most, strict=True))


def opens(window: CountWindow | TimeWindow, tally: AtomicCounter | None, now: float, failed: bool) -> bool:
    """Return whether an outcome opens. With a `tally`, quiet successes are only counted, as by a permit."""
    if tally is not None and not failed and now < window.quiet_until:
        tally.add()
        return False
    return window.record(now, failed, False) and window.reached()


@settings(max_examples=500, deadline=None)
@given(
    settings=st.builds(
        FailureRate,
        rate=st.sampled_from([0.1, 0.3, 0.5, 1.0]),
        window=st.integers(1, 12),
        minimum_calls=st.integers(1, 6),
    ),
    recorded=st.lists(st.booleans(), max_size=60),
)
def test_successes_that_are_only_counted_change_no_decision_over_calls(
    settings: FailureRate, recorded: list[bool]
) -> None:
    tally = AtomicCounter()
    tally.add()
    window = CountWindow(settings, tally)
    for at, failed in enumerate(recorded, start=1):
        lately = recorded[:at][-settings.window_calls :]
        bad = len(lately) >= settings.calls_to_judge and sum(lately) / len(lately) >= settings.rate
        assert opens(window, tally, 0.0, failed) == bad
        if bad:
            return
        window.expire(0.0)
        assert counts(window)[:2] == (len(lately), sum(lately))


@settings(max_examples=500, deadline=None)
@given(
    settings=st.builds(
        FailureRate,
        rate=st.sampled_from([0.1, 0.3, 0.5, 1.0]),
        seconds=st.just(10.0),
        minimum_calls=st.integers(1, 6),
    ),
    steps=st.lists(st.tuples(st.sampled_from([0.0, 0.001, 0.01, 1.0, 4.0, 11.0]), st.booleans()), max_size=60),
)
def test_successes_that_are_only_counted_change_no_decision_over_seconds(
    settings: FailureRate, steps: list[tuple[float, bool]]
) -> None:
    tally, now = AtomicCounter(), 100.0
    window, plain = TimeWindow(settings, tally), TimeWindow(settings)
    for seconds, failed in steps:
        now += seconds
        opened = opens(plain, None, now, failed)
        assert opens(window, tally, now, failed) == opened
        assert counts(window) == counts(plain)
        if opened:
            return


def test_an_outcome_leaves_a_window_of_seconds_when_it_is_that_old() -> None:
    window = TimeWindow(FailureRate(seconds=10.0))
    window.record(100.0, True, False)
    window.expire(109.9)
    assert counts(window) == (1, 1, 0)
    window.expire(110.0)
    assert counts(window) == (0, 0, 0)


def test_a_time_that_goes_back_counts_as_the_latest() -> None:
    window = TimeWindow(FailureRate(seconds=10.0))
    window.record(100.0, True, False)
    window.record(99.0, True, False)
    assert counts(window) == (2, 2, 0)
    window.expire(200.0)
    window.record(100.0, False, False)
    assert window.calls == 1


def test_memory_of_a_window_of_seconds_is_bounded() -> None:
    window = TimeWindow(FailureRate(seconds=1.0))
    for step in range(20_000):
        window.record(step * 0.0007, False, False)
    assert len(window._slices) <= TimeWindow.SLICES
    assert window.calls <= 1.0 / 0.0007 + 1


@settings(max_examples=200, deadline=None)
@given(old=st.integers(1, 10), new=st.integers(1, 15), recorded=st.lists(outcomes, max_size=30))
def test_a_window_of_another_size_has_seen_the_same(old: int, new: int, recorded: list[tuple[bool, bool]]) -> None:
    window = CountWindow(FailureRate(window=old))
    for failed, slow in recorded:
        window.record(0.0, failed, slow)
    assert counts(window.under(FailureRate(window=new))) == recount(recorded[-min(old, new) :])


def test_a_window_of_more_seconds_has_seen_the_same() -> None:
    window = TimeWindow(FailureRate(seconds=10.0))
    for second in range(20):
        window.record(float(second), second % 2 == 0, False)
    longer = window.under(FailureRate(seconds=30.0))
    assert counts(longer) == counts(window)
    longer.expire(42.5)
    assert longer.calls == 7
    assert counts(window.under(FailureRate(window=5))) == (0, 0, 0)


def test_a_rate_is_judged_from_its_minimum_of_calls_and_reached_at_equality() -> None:
    window = CountWindow(FailureRate(rate=0.5, window=10, minimum_calls=4))
    for failed in (True, True, False):
        window.record(0.0, failed, False)
        assert not window.reached()
    window.record(0.0, False, False)
    assert window.reached()
    assert window.reason() == "2 of 4 calls failed"


def test_slow_calls_have_a_bound_of_their_own() -> None:
    window = CountWindow(FailureRate(window=4, minimum_calls=2, slow_call_seconds=1.0, slow_call_rate=1.0))
    window.record(0.0, False, True)
    window.record(0.0, False, True)
    assert window.reached()
    assert window.reason() == "2 of 2 calls were slow"
