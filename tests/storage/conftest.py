"""The real servers, one of each for the session, and fresh stores on them."""

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from cqox.storage import ResultStore, SqliteStore
from cqox.storage.postgres import PostgresStore
from cqox.storage.sealing import TenantSealing
from services.simulation.stores.database import open_database
from services.simulation.stores.database_server import DatabaseServer
from tests.servers import ObjectStore, Postgres, Redis, running
from tests.storage.bound import in_default
from tests.storage.sealings import SealedWhole, sealing_in

type Opening = Callable[[], AbstractAsyncContextManager[SqliteStore | PostgresStore]]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with running(Postgres()) as server:
        yield server


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    with running(ObjectStore()) as server:
        yield server


@pytest.fixture(scope="session")
def redis_process() -> Iterator[Redis]:
    with running(Redis()) as server:
        yield server


@pytest.fixture
def redis_server(redis_process: Redis) -> Redis:
    """Empty."""
    with redis_process.client() as client:
        client.flushall()
    return redis_process


@pytest.fixture
def database_server() -> Iterator[DatabaseServer]:
    """A model of PostgreSQL in memory, with an empty database."""
    server = DatabaseServer(rng=Random(1), now=time.time)
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "simulated", pytest.param("postgres", marks=pytest.mark.xdist_group("servers"))])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    """Return a function that opens the same store of the backend each time."""
    if request.param == "sqlite":
        return lambda: in_default(SqliteStore.open, tmp_path / "results.sqlite")
    if request.param == "simulated":
        server = request.getfixturevalue("database_server")
        return lambda: in_default(open_database, server, client="engine")
    url = request.getfixturevalue("postgres_server").fresh()
    return lambda: in_default(PostgresStore.open, url)


@pytest.fixture(params=["plain", "sealed"])
async def store(open_store: Opening, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ResultStore]:
    async with open_store() as opened:
        yield opened if request.param == "plain" else SealedWhole(opened, sealing_in(tmp_path).of("default"))


@pytest.fixture(params=["plain", "sealed"])
def sealing(request: pytest.FixtureRequest, tmp_path: Path) -> TenantSealing:
    """Encryption at rest of one tenant, off and on."""
    return sealing_in(tmp_path, is_on=request.param == "sealed").of("default")


@pytest.fixture
def disk() -> Iterator[Path]:
    """Return a folder in memory where there is one: real flushes would take most of the time."""
    place = Path("/dev/shm")
    with TemporaryDirectory(dir=place if os.access(place, os.W_OK) else None) as folder:
        yield Path(folder)
