"""PostgreSQL and Redis with TLS, which demand a certificate of each client."""

import os
from pathlib import Path

import psycopg
import redis

from cqox.certificates import Version, current_version
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis

__all__ = ["SecuredPostgres", "SecuredRedis"]

_ACCESS = """
local all all trust
hostssl all all 127.0.0.1/32 trust clientcert=verify-ca
hostnossl all all 127.0.0.1/32 reject
"""


class SecuredPostgres(Postgres):
    """A server that accepts only clients with a certificate of the authority; the tests come by its Unix socket."""

    def __init__(self, certificates: Path) -> None:
        super().__init__()
        self._certificates = certificates
        self._written("access", _ACCESS.encode())
        self._take(current_version(certificates))

    def secure(self) -> None:
        """Start it with TLS."""
        files = {f"ssl_{kind}_file": str(self._folder / f"{kind}.pem") for kind in ("cert", "key", "ca")}
        self.start(ssl="on", ssl_min_protocol_version="TLSv1.3", hba_file=str(self._folder / "access"), **files)

    def reload(self) -> None:
        """Take up the current certificates, without a restart."""
        self._take(current_version(self._certificates))
        self.execute("SELECT pg_reload_conf()")

    def execute(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(
            host=str(self._folder), port=self.port, user="cqox", dbname="postgres", autocommit=True
        ) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def _take(self, version: Version) -> None:
        for kind, path in (("cert", version.cert), ("key", version.key), ("ca", version.ca)):
            self._written(f"{kind}.pem", path.read_bytes())

    def _written(self, name: str, content: bytes) -> None:
        path = self._folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        if self._user is not None:
            os.chown(path, self._user, -1)


class SecuredRedis(Redis):
    """A server without a plain port."""

    def __init__(self, certificates: Path, client: Path) -> None:
        super().__init__()
        self._certificates = certificates
        self._client = client

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0"

    def secure(self) -> None:
        """Start it with TLS."""
        version = current_version(self._certificates)
        self.start(
            port="0",
            tls_port=str(self.port),
            tls_cert_file=str(version.cert),
            tls_key_file=str(version.key),
            tls_ca_cert_file=str(version.ca),
            tls_protocols="TLSv1.3",
            tls_auth_clients="yes",
        )

    def reload(self) -> None:
        """Take up the current certificates, without a restart."""
        version = current_version(self._certificates)
        files = {
            "tls-cert-file": str(version.cert),
            "tls-key-file": str(version.key),
            "tls-ca-cert-file": str(version.ca),
        }
        with self.client() as client:
            client.config_set(*(part for pair in files.items() for part in pair))  # type: ignore[misc]

    def client(self) -> redis.Redis:
        version = current_version(self._client)
        return redis.Redis(
            port=self.port,
            ssl=True,
            ssl_ca_certs=str(version.ca),
            ssl_certfile=str(version.cert),
            ssl_keyfile=str(version.key),
            socket_timeout=5,
            socket_connect_timeout=5,
        )
