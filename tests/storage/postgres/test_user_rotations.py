"""Queries go on while a vault replaces the user of the connections: `make vault` runs these."""

import psycopg
import pytest
from anyio import to_thread

from cqox.storage.postgres import PostgresStore
from cqox.storage.postgres.connections import NO_TENANT
from cqox.storage.tenant_ids import DEFAULT_TENANT
from cqox.tasks import open_task_group
from cqox.vault import Vault, VaultError
from cqox.vault.database import DatabaseLogins
from cqox.vault.renewal import renew
from tests.servers.openbao import OpenBao
from tests.servers.postgres_users import GuardedPostgres
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("openbao")]


async def test_no_query_fails_over_three_users(vault: Vault, postgres: GuardedPostgres, bao: OpenBao) -> None:
    await postgres.migrate()
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
