"""Row level security on a PostgreSQL server, under a role that owns nothing and one that owns the tables."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from cqox.analysis.stores import StoreAddresses, open_store
from cqox.errors import StoreUnavailable
from cqox.storage import DEFAULT_TENANT
from cqox.storage.postgres import PostgresStore
from cqox.storage.postgres.row_security import enter, finish, void_wall
from cqox.storage.postgres.schema import MIGRATIONS, TENANT_TABLES, migrate
from cqox.storage.schema import FINISHED
from tests.servers import Postgres
from tests.storage.previous_release import KNOWN_STEPS, statements
from tests.storage.records import a_dataset, a_job, a_report, a_share, a_tenant
from tests.storage.test_tenants import INSERTS, asked_of, snapshot
from tests.storage.test_tenants import filled as fill

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]
ONE = a_report(1).analysis_id


@pytest.fixture
def anyio_backend() -> str:
    return "trio"


@dataclass(frozen=True)
class Roles:
    """The addresses of one schema by role."""

    superuser: str
    owner: str
    app: str


@pytest.fixture
def roles(postgres_server: Postgres) -> Iterator[Roles]:
    """A schema of its own with the roles that the documentation names."""
    url = postgres_server.fresh()
    schema = url.rpartition("%3D")[2]
    owner, app = f"owner_{schema}", f"app_{schema}"
    for role in (owner, app):
        postgres_server.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS")
    postgres_server.execute(f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner}")
    postgres_server.execute(f"GRANT USAGE ON SCHEMA {schema} TO {app}")
    allowed = "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO"
    postgres_server.execute(f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} {allowed} {app}")

    def at(role: str) -> str:
        options = quote(f"-csearch_path={schema}")
        return f"postgresql://{role}@127.0.0.1:{postgres_server.port}/postgres?options={options}"

    yield Roles(superuser=url, owner=at(owner), app=at(app))
    postgres_server.execute(f"DROP SCHEMA {schema} CASCADE")
    for role in (app, owner):
        postgres_server.execute(f"DROP OWNED BY {role}")
        postgres_server.execute(f"DROP ROLE {role}")


def rows(connection: psycopg.Connection, tenant_id: str | None, table: str) -> int:
    if tenant_id is not None:
        connection.execute("SELECT set_config('cqox.tenant', %s, false)", (tenant_id,))
    return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


async def filled(url: str, *tenants: str) -> None:
    async with PostgresStore.open(url) as database:
        for tenant_id in tenants:
            store = database.within(tenant_id)
            await store.save(a_report(1, body=b'{"estimates":[{"name":"ols"}]}'))
            await store.register(a_dataset("d"))
            await store.put_job(a_job("j"), owner="one", seconds=60)
            await store.put_share(replace(a_share(1, "s"), digest=tenant_id))


async def test_without_a_tenant_no_row_is_seen_and_with_one_only_its_own(roles: Roles) -> None:
    await filled(roles.owner, DEFAULT_TENANT, "acme")
    # The owner too: the tables force it.
    for url in (roles.app, roles.owner):
        with psycopg.connect(url, autocommit=True) as connection:
            for table in ("reports", "datasets", "jobs", "shares", "estimates"):
                found = [rows(connection, tenant_id, table) for tenant_id in (None, "acme", "other", "")]
                assert found == [0, 1, 0, 0], table


async def test_a_view_that_a_superuser_owns_shows_no_more_than_its_tables(
    roles: Roles, postgres_server: Postgres
) -> None:
    await filled(roles.superuser, DEFAULT_TENANT, "acme")
    app = roles.app.partition("//")[2].partition("@")[0]
    schema = app.removeprefix("app_")
    postgres_server.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {app}")
    with psycopg.connect(roles.app, autocommit=True) as connection:
        assert [rows(connection, tenant_id, "estimates") for tenant_id in (None, "acme", "other")] == [0, 1, 0]


async def test_a_row_of_another_tenant_is_neither_written_nor_changed(roles: Roles) -> None:
    await filled(roles.owner, DEFAULT_TENANT, "acme")
    with psycopg.connect(roles.app, autocommit=True) as connection:
        connection.execute("SELECT set_config('cqox.tenant', 'other', false)")
        for table in TENANT_TABLES:
            assert connection.execute(f"DELETE FROM {table}").rowcount == 0
        assert connection.execute("UPDATE jobs SET status = 'failed'").rowcount == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            connection.execute(
                "INSERT INTO turns (tenant_id, key, token, held_until) VALUES ('acme', 'acme/k', 't', now())"
            )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE turns SET tenant_id = 'acme'; TRUNCATE reports")


async def test_the_key_of_a_row_begins_with_its_tenant(roles: Roles) -> None:
    await filled(roles.owner, DEFAULT_TENANT, "acme")
    with psycopg.connect(roles.superuser, autocommit=True) as connection:
        for tenant_id, key in (("acme", "other/k"), ("acme", "k"), (DEFAULT_TENANT, "acme/k")):
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute("INSERT INTO turns VALUES (%s, 't', now(), %s)", (key, tenant_id))


async def test_the_scope_of_every_tenant_reaches_leases_and_nothing_else(roles: Roles) -> None:
    await filled(roles.owner, DEFAULT_TENANT, "acme")
    with psycopg.connect(roles.app, autocommit=True) as connection:
        found = {table: rows(connection, "*", table) for table in TENANT_TABLES}
        assert found == dict.fromkeys(TENANT_TABLES, 0) | {"jobs": 2, "shares": 2}
        assert connection.execute("UPDATE jobs SET renewed_until = now()").rowcount == 2
        for change in ("DELETE FROM jobs", "DELETE FROM shares", "UPDATE shares SET digest = ''"):
            assert connection.execute(change).rowcount == 0


async def test_a_store_works_under_a_role_that_owns_nothing(roles: Roles) -> None:
    await filled(roles.owner, DEFAULT_TENANT, "acme")
    async with PostgresStore.open(roles.app, size=2) as database:
        assert await database.void_wall() is None
        acme, other = database.within("acme"), database.within("other")
        assert (await acme.load(ONE)) is not None
        assert await other.load(ONE) is None
        assert await other.save(a_report(1)) is True
        assert await other.delete_reports([ONE]) == [ONE]
        assert await database.renew_jobs("one", seconds=60) == 2
        assert await database.tenant_of_share("acme") == "acme"


async def test_every_method_works_behind_the_wall_and_shows_nothing_of_another_tenant(roles: Roles) -> None:
    async with PostgresStore.open(roles.owner) as database:
        await database.finish()
    async with PostgresStore.open(roles.app, size=2) as database:
        owner, stranger = database.within("acme"), database.within("other")
        await fill(owner)
        before = await snapshot(owner)
        for ask in (*asked_of(str).values(), *INSERTS.values(), *asked_of(str).values()):
            await ask(stranger)
        assert await snapshot(owner) == before
        for ask in (*asked_of(str).values(), *INSERTS.values(), *asked_of(str).values()):
            await ask(owner)
        assert await snapshot(owner) != before


async def test_a_connection_that_returns_to_the_pool_keeps_no_tenant_for_the_next_call(roles: Roles) -> None:
    await filled(roles.owner, DEFAULT_TENANT, "acme")
    setting = "SELECT current_setting('cqox.tenant', true), pg_backend_pid()"

    async with PostgresStore.open(roles.app, size=1) as database:

        async def asked(store: PostgresStore) -> tuple[object, ...]:
            return tuple(await store._call(lambda connection: connection.execute(setting).fetchone()))

        acme = database.within("acme")
        (first, pid), (none, again) = await asked(acme), await asked(database)
        assert (first, none, pid == again) == ("acme", "", True)
        await database.renew_jobs("one", seconds=60)
        assert [name for name, _ in (await asked(database), await asked(acme), await asked(database))] == [
            "",
            "acme",
            "",
        ]


async def test_the_tenant_is_set_again_only_where_it_changes(roles: Roles, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(roles.owner, DEFAULT_TENANT, "acme")
    async with PostgresStore.open(roles.app, size=1) as database:
        scopes, set_scope = list[str](), database._connections.enter

        def counted(connection: object, scope: str) -> None:
            before = database._connections._scopes.get(connection)
            set_scope(connection, scope)
            if before != scope:
                scopes.append(scope)

        monkeypatch.setattr(database._connections, "enter", counted)
        for tenant_id in ("acme", "acme", "other", "acme", "acme"):
            await database.within(tenant_id).load(ONE)
        assert [scope for scope in scopes if scope] == ["acme", "other", "acme"]


async def test_a_wall_that_does_not_hold_is_reported(roles: Roles, postgres_server: Postgres, tmp_path: Path) -> None:
    await filled(roles.owner, DEFAULT_TENANT)
    async with open_store(tmp_path, StoreAddresses(postgres_url=roles.superuser)) as store:
        assert "SUPERUSER" in str(await store.passing_role())
    async with open_store(tmp_path, StoreAddresses()) as store:
        assert await store.passing_role() is None
    async with PostgresStore.open(roles.app) as database:
        assert "cqox db migrate --finish" in str(await database.void_wall())
    with psycopg.connect(roles.owner, autocommit=True) as connection:
        assert finish(connection) == 1
        assert void_wall(connection) is None
    role = roles.app.partition("//")[2].partition("@")[0]
    postgres_server.execute(f"ALTER ROLE {role} BYPASSRLS")
    async with PostgresStore.open(roles.app) as database:
        assert "BYPASSRLS" in str(await database.void_wall())


async def test_a_role_that_owns_nothing_cannot_begin_with_a_second_tenant(roles: Roles) -> None:
    await filled(roles.owner, DEFAULT_TENANT)
    async with PostgresStore.open(roles.app) as database:
        await database.within(DEFAULT_TENANT).save(a_report(2))
        for begin in (lambda: database.within("acme").save(a_report(1)), lambda: database.put_tenant(a_tenant("acme"))):
            with pytest.raises(StoreUnavailable, match=r"must be owner of .*cqox db migrate --finish"):
                await begin()
        assert [each.tenant_id for each in await database.tenants()] == [DEFAULT_TENANT]
    async with PostgresStore.open(roles.owner) as database:
        assert (await database.finish(), await database.finish()) == (1, 0)
    async with PostgresStore.open(roles.app) as database:
        assert await database.within("acme").save(a_report(1)) is True


def test_the_previous_release_goes_on_using_a_database_until_it_has_several_tenants(roles: Roles) -> None:
    with psycopg.connect(roles.owner, autocommit=True) as connection:
        newest = "SELECT max(number) FROM cqox_migrations"
        assert migrate(connection) == len(MIGRATIONS)
        assert connection.execute(newest).fetchone() == (KNOWN_STEPS["postgres"],)
        for statement, expected in statements("postgres"):
            cursor = connection.execute(statement)
            assert expected in (None, len(cursor.fetchall()) if cursor.description else None), statement
        assert connection.execute("SELECT tenant_id FROM reports").fetchall() == [(DEFAULT_TENANT,)]
        enter(connection, tenant_id="acme")
        enter(connection, tenant_id="acme")
        # A number that it does not know: it refuses the database.
        assert connection.execute(newest).fetchone() == (FINISHED,)
        assert migrate(connection) == 0
        names = connection.execute("SELECT tenant_id FROM tenants ORDER BY 1").fetchall()
        assert names == [("acme",), (DEFAULT_TENANT,)]
