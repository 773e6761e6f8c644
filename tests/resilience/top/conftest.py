"""The server of metrics."""

from collections.abc import Iterator

import pytest

from tests.resilience.top.server import MetricsServer


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    """A server whose answer the test chooses."""
    running = MetricsServer()
    yield running
    running.stop()
