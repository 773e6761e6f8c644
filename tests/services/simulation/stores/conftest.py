"""A database server in virtual time, and stores of engines on it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from random import Random

import pytest
import trio
import trio.testing

from cqox.resilience.runtime.randomness import shared_rng
from cqox.storage.postgres import PostgresStore
from services.simulation.stores.database import open_database
from services.simulation.stores.database_server import DatabaseServer
from tests.storage.bound import in_default

START = 1_800_000_000.0

type Opening = Callable[..., AbstractAsyncContextManager[PostgresStore]]


def unix_time() -> float:
    """The clock of the servers: that of the event loop, in virtual time."""
    return START + trio.current_time()


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture(autouse=True)
def jitter() -> None:
    """The same delays between retries in each run."""
    shared_rng.seed(1)


@pytest.fixture
def server() -> Iterator[DatabaseServer]:
    server = DatabaseServer(rng=Random(1), now=unix_time)
    yield server
    server.close()


@pytest.fixture
def engine(server: DatabaseServer) -> Opening:
    """Return a function that opens the store of an engine, bound to the tenant `default`."""
    return partial(in_default, open_database, server, client="engine")
