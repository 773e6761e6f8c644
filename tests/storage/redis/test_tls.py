"""A Redis server that has TLS alone and demands a certificate of each client."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from cqox.certificates import Credentials
from cqox.certificates.authority import Authority
from cqox.errors import StoreUnavailable
from cqox.storage import DEFAULT_TENANT
from cqox.storage.redis import RedisCache
from cqox.storage.redis.tls import use_certificates
from tests.servers.certificates import authority_in
from tests.servers.secured import SecuredRedis
from tests.storage.records import a_report

pytestmark = pytest.mark.xdist_group("servers")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority_in(tmp_path_factory.mktemp("tls"), "redis", "engine", "test")


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[SecuredRedis]:
    server = SecuredRedis(authority.folder / "redis", authority.folder / "test")
    try:
        server.secure()
        yield server
    finally:
        server.close()


@pytest.mark.trio
async def test_reports_are_cached_while_both_sides_change_their_authority(
    server: SecuredRedis, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cqox.certificates.credentials._LOOK_SECONDS", 0.0)
    async with RedisCache.open(server.url, credentials=Credentials(authority.folder / "engine")) as cache:
        for number in range(4):
            await cache.within(DEFAULT_TENANT).put(a_report(number))
            assert await cache.within(DEFAULT_TENANT).get(a_report(number).analysis_id) == a_report(number)
            if number < 3:
                authority.replace()
                server.reload()
        with server.client() as client:
            # The connections of earlier certificates were closed.
            assert len([one for one in client.client_list() if one["name"] == "cqox"]) == 1


@pytest.mark.trio
async def test_a_server_of_another_authority_and_a_client_without_a_certificate_are_refused(
    server: SecuredRedis, authority: Authority, tmp_path: Path
) -> None:
    foreign = Credentials(authority_in(tmp_path, "engine").folder / "engine")
    async with RedisCache.open(server.url, credentials=foreign) as cache:
        with pytest.raises(StoreUnavailable, match="certificate verify failed"):
            await cache.ping()
    trusted = authority.folder / "engine/current/ca.pem"
    async with RedisCache.open(f"{server.url}?ssl_ca_certs={trusted}") as cache:
        with pytest.raises(StoreUnavailable):
            await cache.ping()


@pytest.mark.parametrize(
    ("url", "cert", "ca"),
    [
        ("rediss://cache:6379/0", True, True),
        ("rediss://cache:6379/0?ssl_ca_certs=/own.pem", True, False),
        ("rediss://cache:6379/0?ssl_certfile=/own.pem&ssl_keyfile=/own.key", False, True),
    ],
)
def test_files_that_the_address_names_are_kept(authority: Authority, url: str, cert: bool, ca: bool) -> None:
    pool = redis.ConnectionPool.from_url(url, socket_connect_timeout=0.001, retry=None)
    use_certificates(pool, Credentials(authority.folder / "engine"))
    connection = pool.connection_class(**pool.connection_kwargs)
    with pytest.raises(redis.RedisError):
        connection.connect_check_health()
    folder = str((authority.folder / "engine/current").resolve())
    assert str(connection.certfile).startswith(folder) is cert
    assert str(connection.ca_certs).startswith(folder) is ca


def test_a_plain_connection_stays_plain(authority: Authority) -> None:
    pool = redis.ConnectionPool.from_url("redis://cache:6379/0")
    use_certificates(pool, Credentials(authority.folder / "engine"))
    assert pool.connection_class is redis.Connection
