import pytest
from hypothesis import given, strategies

from services.config.body_pace import BodyPace
from services.http.request.pace import PaceWatch

PACE = BodyPace(bytes_per_second=100, window_seconds=16.0, most_seconds=1e9)

pauses = strategies.lists(
    strategies.tuples(strategies.floats(0.0, 12.0), strategies.integers(1, 4000)), min_size=1, max_size=60
)


def within(pieces: list[tuple[float, int]], now: float, seconds: float) -> int:
    """Count the bytes of the last seconds directly."""
    return sum(size for at, size in pieces if at > now - seconds)


@given(pauses)
def test_who_is_cut_had_too_little_in_the_last_window_and_who_is_not_had_enough(steps):
    watch, now, came = PaceWatch(PACE, 0.0), 0.0, list[tuple[float, int]]()
    for pause, size in steps:
        patience = watch.patience(now)
        if pause > patience:
            cut = now + max(0.0, patience)
            assert cut >= PACE.window_seconds
            # A slot of a sixteenth of a window is the grain.
            assert within(came, cut - 1e-6, PACE.window_seconds - 1.0) < PACE.window_bytes
            return
        # Just before the next piece, the window behind it has enough, or is the first.
        end = now + pause
        assert end <= PACE.window_seconds or within(came, end, PACE.window_seconds + 1.0) >= PACE.window_bytes
        now = end
        watch.take(size, pause)
        came.append((now, size))


def test_many_tiny_pieces_are_few_entries():
    watch = PaceWatch(PACE, 0.0)
    for _ in range(100_000):
        watch.take(1, 0.001)
    assert len(watch._slots) < 20
    assert 15_000 < watch.window_bytes < 18_000


def test_without_a_least_pace_the_pauses_alone_are_bounded():
    watch = PaceWatch(BodyPace(bytes_per_second=0, window_seconds=5), 0.0)
    for _ in range(10):
        watch.take(1, 4.9)
        assert watch.patience(0.0) == pytest.approx(5)


def test_the_total_time_is_bounded_at_any_rate():
    watch = PaceWatch(BodyPace(most_seconds=10), 100.0)
    watch.take(10**6, 0.0)
    assert watch.patience(109.0) == 1
    assert watch.is_over(110.0)
