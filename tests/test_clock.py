import time
from datetime import UTC, datetime

from cqox import clock


class Stopped:
    def monotonic(self) -> float:
        return 7.0

    def time(self) -> float:
        return 86_400.25


def test_the_default_clock_is_that_of_the_system() -> None:
    before, since = time.time(), time.monotonic()
    assert before <= clock.wall_time() <= time.time()
    assert since <= clock.monotonic() <= time.monotonic()
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 60


def test_another_source_is_in_effect_while_it_is_installed() -> None:
    with clock.installed(Stopped()):
        assert clock.monotonic() == 7.0
        assert clock.wall_time() == 86_400.25
        assert clock.now() == datetime(1970, 1, 2, 0, 0, 0, 250_000, tzinfo=UTC)
        assert clock.timestamp() == "1970-01-02T00:00:00.250000+00:00"
    assert clock.wall_time() > 1e9
