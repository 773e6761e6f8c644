"""Users of the connections that a vault creates, on a real PostgreSQL."""

import anyio
import psycopg
import pytest

from cqox.storage.postgres import PostgresStore
from cqox.storage.postgres.connections import NO_TENANT, Connections
from cqox.storage.tenant_ids import DEFAULT_TENANT
from cqox.vault import Vault
from cqox.vault.database import DatabaseLogins
from tests.servers.openbao import OpenBao
from tests.servers.postgres_users import GuardedPostgres
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("openbao")]


async def test_a_user_that_was_removed_is_replaced(vault: Vault, postgres: GuardedPostgres, bao: OpenBao) -> None:
    await postgres.migrate()
    postgres.known_to(bao, seconds=3600)
    logins = DatabaseLogins(vault, "database/creds/cqox")
    async with PostgresStore.open(postgres.bare_url, logins=logins) as store:
        of_tenant = store.within(DEFAULT_TENANT)
        for _ in range(3):
            await of_tenant.reports(limit=5)
            before = logins.current().user
            assert bao.revoke_tokens()
            await until(lambda user=before: user not in postgres.users())  # type: ignore[misc]
            await of_tenant.reports(limit=5)
            assert logins.current().user != before


async def test_a_role_without_a_permission_is_not_taken_for_a_removed_user(
    vault: Vault, postgres: GuardedPostgres, bao: OpenBao
) -> None:
    await postgres.migrate()
    postgres.known_to(bao, seconds=3600)
    logins = DatabaseLogins(vault, "database/creds/cqox")
    connections = Connections(postgres.bare_url, size=2, seconds=10, statement_seconds=10, logins=logins)
    connections.open()
    try:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connections.run(lambda each: each.execute("CREATE TABLE mine ()"), scope=NO_TENANT)
        assert logins.current().number == 1
    finally:
        connections.close()


async def test_without_a_vault_the_store_says_why(vault: Vault, postgres: GuardedPostgres, bao: OpenBao) -> None:
    logins = DatabaseLogins(vault, "database/creds/cqox")
    connections = Connections(postgres.bare_url, size=2, seconds=5, statement_seconds=10, logins=logins)
    connections.open()
    try:
        with bao.sealed():
            with pytest.raises(psycopg.OperationalError, match=r"no database user: .* it is sealed"):
                await connections.run(lambda each: each.execute("SELECT 1"), scope=NO_TENANT)

            async def answers() -> bool:
                try:
                    await connections.run(lambda each: each.execute("SELECT 1"), scope=NO_TENANT)
                except psycopg.OperationalError:
                    return False
                return True

            assert not await answers()
            bao.unseal()
            with anyio.fail_after(60):
                await until(answers)
    finally:
        connections.close()
