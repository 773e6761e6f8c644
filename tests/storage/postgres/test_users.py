"""Queries go on while a vault replaces the user of the connections."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import psycopg
import pytest
from anyio import to_thread

from cqox.storage.postgres import PostgresStore
from cqox.storage.postgres.connections import NO_TENANT, Connections
from cqox.storage.tenant_ids import DEFAULT_TENANT
from cqox.tasks import open_task_group
from cqox.vault import Vault, VaultAccess, VaultError
from cqox.vault.database import DatabaseLogins
from cqox.vault.renewal import renew
from tests.servers.openbao import OpenBao
from tests.servers.postgres_users import GuardedPostgres
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("openbao")]


@pytest.fixture(scope="module")
def bao() -> Iterator[OpenBao]:
    server = OpenBao()
    try:
        server.start()
        server.mount("database")
        server.allow()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def postgres(bao: OpenBao) -> Iterator[GuardedPostgres]:
    server = GuardedPostgres()
    try:
        server.guard()
        yield server
    finally:
        server.close()


@pytest.fixture
def vault(bao: OpenBao, tmp_path: Path) -> Iterator[Vault]:
    with Vault(VaultAccess(address=bao.url, role_file=bao.app_role(tmp_path / "role.json"))) as opened:
        yield opened


async def migrated(postgres: GuardedPostgres) -> None:
    async with PostgresStore.open(postgres.owner_url) as store:
        await store.migrate()


async def test_no_query_fails_over_three_users(vault: Vault, postgres: GuardedPostgres, bao: OpenBao) -> None:
    await migrated(postgres)
    postgres.known_to(bao, seconds=3, most_seconds=5)
    logins = DatabaseLogins(vault, "database/creds/cqox")
    first = await to_thread.run_sync(lambda: logins.current())
    queries, names = 0, set[str]()

    def name(connection: psycopg.Connection[tuple[object, ...]]) -> None:
        names.add(str(connection.execute("SELECT current_user, pg_sleep(0.02)").fetchone()[0]))  # type: ignore[index]

    async with PostgresStore.open(postgres.bare_url, logins=logins) as store, open_task_group() as group:
        group.start_soon(lambda: renew("the user", logins.keep, failures=(VaultError,)), name="renew")
        of_tenant = store.within(DEFAULT_TENANT)

        async def work() -> None:
            nonlocal queries
            while logins.current().number < 4:
                await of_tenant.reports(limit=5)
                await store._connections.run(name, scope=NO_TENANT)
                queries += 2

        async with open_task_group() as workers:
            for number in range(6):
                workers.start_soon(work, name=f"worker {number}")
        assert len(names) >= 3
        assert queries > 100
        await until(lambda: first.user not in postgres.users())
        await of_tenant.reports(limit=5)
        group.cancel_scope.cancel()


async def test_a_user_that_was_removed_is_replaced(vault: Vault, postgres: GuardedPostgres, bao: OpenBao) -> None:
    await migrated(postgres)
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
    await migrated(postgres)
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
