"""Fixtures of pytest for tests of resilient code: `pytest_plugins = ["cqox.resilience.testing.fixtures"]`.

Only this module imports pytest, and pytest does not find it by itself: a run that does not name it does not load it.
"""

from collections.abc import Iterator

import pytest

from cqox.resilience.pipeline.events import Event, capture_events
from cqox.resilience.runtime.instant import instant
from cqox.resilience.runtime.passing import disabled
from cqox.resilience.testing.clock import FakeClock

__all__ = ["fake_clock", "instant_retries", "resilience_disabled", "resilience_events"]


@pytest.fixture
def instant_retries() -> Iterator[None]:
    """Let retries pause for no time during the test; see `instant`."""
    with instant():
        yield


@pytest.fixture
def resilience_disabled() -> Iterator[None]:
    """Let every call pass without its parts during the test; see `disabled`."""
    with disabled():
        yield


@pytest.fixture
def resilience_events() -> Iterator[list[Event]]:
    """Collect the events of the process during the test, in order."""
    with capture_events() as events:
        yield events


@pytest.fixture
def fake_clock() -> FakeClock:
    """Make a clock on which sleeping takes no time."""
    return FakeClock()
