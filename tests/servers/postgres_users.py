"""A PostgreSQL with the roles of the documentation, whose users log in by password, and a vault that creates them."""

import os
from urllib.parse import quote

from cqox.storage.postgres import PostgresStore
from tests.servers.openbao import OpenBao
from tests.servers.postgres import Postgres

__all__ = ["GuardedPostgres"]

_ACCESS = """
local all all trust
host all cqox 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""
_VAULT = (
    "CREATE ROLE vault LOGIN CREATEROLE PASSWORD 'vault'",
    "GRANT cqox_app TO vault WITH ADMIN OPTION",
)
_CREATION = """
CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE cqox_app;
ALTER ROLE "{{name}}" SET search_path = cqox;
"""


class GuardedPostgres(Postgres):
    """The superuser `cqox` comes without a password, everybody else with one."""

    def guard(self, *, with_vault: bool = True) -> None:
        """Start it, with the roles of docs/stores.md, and one for the vault."""
        access = self._folder / "access"
        access.write_text(_ACCESS)
        if self._user is not None:
            os.chown(access, self._user, -1)
        self.start(hba_file=str(access))
        for statement in (
            "CREATE ROLE cqox_owner LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD 'owner'",
            "CREATE ROLE cqox_app NOLOGIN NOSUPERUSER NOBYPASSRLS",
            *(_VAULT if with_vault else ()),
            "CREATE SCHEMA cqox AUTHORIZATION cqox_owner",
            "GRANT USAGE ON SCHEMA cqox TO cqox_app",
            "ALTER ROLE cqox_owner SET search_path = cqox",
            "ALTER DEFAULT PRIVILEGES FOR ROLE cqox_owner IN SCHEMA cqox "
            "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO cqox_app",
        ):
            self.execute(statement)

    async def migrate(self) -> None:
        """Create the tables, as their owner, for several tenants and encryption."""
        async with PostgresStore.open(self.owner_url) as store:
            await store.finish()

    @property
    def owner_url(self) -> str:
        return f"postgresql://cqox_owner:owner@127.0.0.1:{self.port}/postgres"

    @property
    def bare_url(self) -> str:
        """Without a user."""
        return f"postgresql://127.0.0.1:{self.port}/postgres?options={quote('-csearch_path=cqox')}"

    def known_to(self, bao: OpenBao, *, seconds: int, most_seconds: int = 0) -> None:
        """Have a vault create users for so long; renewals end after `most_seconds`, if that is given."""
        bao.write(
            "database/config/cqox",
            plugin_name="postgresql-database-plugin",
            allowed_roles="cqox",
            connection_url=f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{self.port}/postgres?sslmode=disable",
            username="vault",
            password="vault",
        )
        bao.write(
            "database/roles/cqox",
            db_name="cqox",
            creation_statements=_CREATION.strip().splitlines(),
            default_ttl=f"{seconds}s",
            max_ttl=f"{most_seconds}s",
        )

    def users(self) -> set[str]:
        """The users that a vault has created and not removed."""
        return {str(name) for (name,) in self.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'")}
