"""A running engine."""

from collections.abc import Iterator

import httpx
import pytest


@pytest.fixture
def engine(start) -> Iterator[httpx.Client]:
    """A client of an engine that is ready."""
    with start("-m", "services.engine", CQOX_LOG_FORMAT="json").ready_client() as client:
        yield client
