"""The real servers, one of each for the session, and fresh stores on them."""

from collections.abc import Iterator

import pytest

from tests.servers import Postgres, Redis


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def redis_process() -> Iterator[Redis]:
    server = Redis()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def redis_server(redis_process: Redis) -> Redis:
    """Empty."""
    with redis_process.client() as client:
        client.flushall()
    return redis_process
