"""Fixtures of pytest, imported here as a conftest may do."""

import subprocess
import sys

import pytest

from cqox.errors import CircuitOpen
from cqox.resilience import CircuitBreaker, CircuitIsolated, Event, Retry
from cqox.resilience.testing import FakeClock, Script
from cqox.resilience.testing.fixtures import fake_clock, instant_retries, resilience_disabled, resilience_events
from tests.resilience.conftest import Down

__all__ = ["fake_clock", "instant_retries", "resilience_disabled", "resilience_events"]


@pytest.mark.usefixtures("resilience_disabled")
def test_nothing_is_guarded_during_a_test() -> None:
    breaker = CircuitBreaker("engine")
    breaker.isolate()
    assert breaker(lambda: "up")() == "up"


def test_everything_is_guarded_again_after_it() -> None:
    breaker = CircuitBreaker("engine")
    breaker.isolate()
    with pytest.raises(CircuitOpen):
        breaker(lambda: "up")()


@pytest.mark.usefixtures("instant_retries")
def test_retries_are_instant_during_a_test(fake_clock: FakeClock) -> None:
    call = Retry(3, 60.0, clock=fake_clock)(Script(Down(), Down(), "up").__call__)
    assert (call(), fake_clock.sleeps) == ("up", [0.0, 0.0])


def test_events_are_collected_during_a_test(resilience_events: list[Event]) -> None:
    CircuitBreaker("engine").isolate()
    assert [type(event) for event in resilience_events] == [CircuitIsolated]


def test_the_library_and_its_support_for_tests_do_not_import_pytest() -> None:
    program = "import cqox.resilience.testing, cqox.tasks, sys; assert not {'pytest', '_pytest'} & set(sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
