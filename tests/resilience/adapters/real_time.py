"""The backend of tests of clients that know asyncio alone, in real time, as their servers are real.

A module of tests imports `anyio_backend`, which then takes the place of the two backends in virtual time.
"""

import pytest

__all__ = ["anyio_backend"]


@pytest.fixture
def anyio_backend() -> str:
    """The backend of tests marked `anyio`."""
    return "asyncio"
