"""TLS of connections to Redis, with certificates that may be replaced while the pool is open."""

from typing import Any

import redis

from cqox.certificates import Credentials, Version

__all__ = ["use_certificates"]


def use_certificates(pool: redis.ConnectionPool, credentials: Credentials) -> None:
    """Make new connections of a pool with TLS use the certificates in force; leave a pool without TLS as it is.

    Files that the URL names are kept.

    Args:
        pool: a pool without open connections.
        credentials: the certificates.
    """
    if not issubclass(pool.connection_class, redis.SSLConnection):
        return
    given = pool.connection_kwargs

    class Connection(redis.SSLConnection):
        """A connection that is opened again once the certificates have changed."""

        _version: Version | None = None

        def connect_check_health(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in the base class
            # Called for each use of the connection; it returns at once where the connection is open.
            if self._version is not None and not credentials.is_in_force(self._version):
                self.disconnect()  # type: ignore[no-untyped-call]
                self._version = None
            if self._version is None:
                self._version = credentials.current().version
                if not given.get("ssl_ca_certs"):
                    self.ca_certs = str(self._version.ca)
                if not given.get("ssl_certfile"):
                    self.certfile, self.keyfile = str(self._version.cert), str(self._version.key)
            super().connect_check_health(*args, **kwargs)

    pool.connection_class = Connection
