"""A PostgreSQL server that demands TLS and a certificate of each client."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cqox.certificates import Credentials, current_version
from cqox.certificates.authority import Authority
from cqox.errors import StoreUnavailable
from cqox.storage import DEFAULT_TENANT
from cqox.storage.postgres import PostgresStore
from cqox.storage.postgres.tls import PostgresTls
from tests.servers.certificates import authority_in
from tests.servers.secured import SecuredPostgres
from tests.storage.records import a_report

pytestmark = pytest.mark.xdist_group("servers")
SESSIONS = (
    "SELECT version, client_dn FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'cqox'"
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority_in(tmp_path_factory.mktemp("tls"), "postgres", "engine")


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[SecuredPostgres]:
    server = SecuredPostgres(authority.folder / "postgres")
    try:
        server.secure()
        yield server
    finally:
        server.close()


@pytest.mark.trio
async def test_the_server_is_verified_and_sees_the_certificate_of_the_engine(
    server: SecuredPostgres, authority: Authority
) -> None:
    credentials = Credentials(authority.folder / "engine")
    async with PostgresStore.open(server.url, size=1, credentials=credentials) as store:
        await store.within(DEFAULT_TENANT).save(a_report(1))
        assert await store.within(DEFAULT_TENANT).load(a_report(1).analysis_id) == a_report(1)
        assert server.execute(SESSIONS) == [("TLSv1.3", "/CN=engine")]


@pytest.mark.trio
async def test_both_sides_change_authority_while_the_pool_is_open(
    server: SecuredPostgres, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cqox.certificates.credentials._LOOK_SECONDS", 0.0)
    credentials = Credentials(authority.folder / "engine")
    pids = []
    async with PostgresStore.open(server.url, size=1, credentials=credentials) as store:
        for _ in range(3):
            await store.ping()
            pids += server.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'cqox'")
            authority.replace()
            server.reload()
        await store.ping()
        pids += server.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'cqox'")
    # Each change ended the connection that was opened before it.
    assert len(set(pids)) == 4


@pytest.mark.trio
async def test_a_server_of_another_authority_or_name_and_a_client_without_a_certificate_are_refused(
    server: SecuredPostgres, authority: Authority, tmp_path: Path
) -> None:
    async with PostgresStore.open(server.url, size=1) as store:
        with pytest.raises(StoreUnavailable, match="certificate"):
            await store.ping()
    foreign = Credentials(authority_in(tmp_path, "engine").folder / "engine")
    async with PostgresStore.open(server.url, size=1, credentials=foreign) as store:
        with pytest.raises(StoreUnavailable, match="certificate verify failed"):
            await store.ping()
    authority.issue("postgres", days=1, names=("database.example",))
    server.reload()
    try:
        async with PostgresStore.open(
            server.url, size=1, credentials=Credentials(authority.folder / "engine")
        ) as store:
            with pytest.raises(StoreUnavailable, match="does not match host"):
                await store.ping()
    finally:
        authority.issue("postgres", days=1)
        server.reload()


@pytest.mark.parametrize(
    ("conninfo", "ours"),
    [
        ("postgresql://db/x", {"sslmode", "sslrootcert", "sslcert", "sslkey"}),
        ("postgresql://db/x?sslmode=require", {"sslrootcert", "sslcert", "sslkey"}),
        ("host=db sslrootcert=system", {"sslmode", "sslcert", "sslkey"}),
        ("host=db sslcert=/own.pem", {"sslmode", "sslrootcert"}),
    ],
)
def test_what_the_address_says_holds(authority: Authority, conninfo: str, ours: set[str]) -> None:
    version = current_version(authority.folder / "engine")
    options = PostgresTls(conninfo, Credentials(authority.folder / "engine")).options(version)
    assert options.keys() == ours
    assert options.get("sslmode", "verify-full") == "verify-full"


def test_what_a_variable_of_libpq_says_holds(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-ca")
    version = current_version(authority.folder / "engine")
    tls = PostgresTls("host=db", Credentials(authority.folder / "engine"))
    assert "sslmode" not in tls.options(version)


def test_a_connection_that_cannot_be_opened_is_an_error_of_psycopg(authority: Authority) -> None:
    tls = PostgresTls("host=db", Credentials(authority.folder / "engine"))
    with pytest.raises(psycopg.OperationalError):
        tls.connect(psycopg.connect, "host=/nonexistent", {})
