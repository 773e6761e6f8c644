"""Real servers for tests: started here, on loopback, and ended with the session."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.object_store import ObjectStore
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy
from tests.servers.redis import Redis

__all__ = ["ObjectStore", "Postgres", "Proxy", "Redis", "running"]


@contextmanager
def running[S: (ObjectStore, Postgres, Redis)](server: S) -> Iterator[S]:
    """Start a server, and close it at the end."""
    try:
        server.start()
        yield server
    finally:
        server.close()
