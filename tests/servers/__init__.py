"""Real servers for tests: started here, on loopback, and ended with the session."""

from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy
from tests.servers.redis import Redis

__all__ = ["Postgres", "Proxy", "Redis"]
