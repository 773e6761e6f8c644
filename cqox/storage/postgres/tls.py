"""TLS of connections to PostgreSQL, with certificates that may be replaced while the pool is open."""

import os
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg.conninfo import conninfo_to_dict

from cqox.certificates import Credentials, Version

__all__ = ["PostgresTls"]

_VARIABLES = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}


class PostgresTls:
    """The certificates of the connections of one pool.

    What the address or a variable of libpq says about TLS holds. For the rest a connection verifies the server and its
    name, and shows the certificate in force.

    Args:
        conninfo: URL or key-value string.
        credentials: the certificates.
    """

    def __init__(self, conninfo: str, credentials: Credentials) -> None:
        self._credentials = credentials
        said = conninfo_to_dict(conninfo)
        self._open = {
            name for name, variable in _VARIABLES.items() if name not in said and not os.environ.get(variable)
        }
        # A key belongs to its certificate: either both are ours or none.
        if not {"sslcert", "sslkey"} <= self._open:
            self._open -= {"sslcert", "sslkey"}
        self._versions: WeakKeyDictionary[object, Version] = WeakKeyDictionary()

    def options(self, version: Version) -> dict[str, str]:
        """Return the options of libpq for a connection with this version of the certificates."""
        ours = {
            "sslmode": "verify-full",
            "sslrootcert": str(version.ca),
            "sslcert": str(version.cert),
            "sslkey": str(version.key),
        }
        return {name: value for name, value in ours.items() if name in self._open}

    def connect[C: psycopg.Connection[Any]](
        self, connect: Callable[..., C], conninfo: str, options: Mapping[str, Any]
    ) -> C:
        """Open a connection with the certificates in force.

        Raises:
            psycopg.OperationalError: it cannot be opened.
        """
        version = self._credentials.current().version
        connection = connect(conninfo, **options, **self.options(version))
        self._versions[connection] = version
        return connection

    def is_current(self, connection: psycopg.Connection[Any]) -> bool:
        """Return whether the connection was opened with the certificates in force."""
        version = self._versions.get(connection)
        return version is None or self._credentials.is_in_force(version)
