"""A user of a real PostgreSQL for one command, created by a real OpenBao."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.config.vault import VaultAway
from services.engine.database_user import database_user
from tests.servers.openbao import OpenBao
from tests.servers.postgres_users import GuardedPostgres
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[OpenBao, GuardedPostgres]]:
    bao, postgres = OpenBao(), GuardedPostgres()
    try:
        bao.start()
        bao.allow()
        bao.mount("database")
        postgres.guard()
        postgres.known_to(bao, seconds=3600)
        yield bao, postgres
    finally:
        bao.close()
        postgres.close()


@pytest.fixture
def settings(servers: tuple[OpenBao, GuardedPostgres], tmp_path: Path) -> Settings:
    bao, postgres = servers
    return Settings(
        vault_addr=bao.url,
        vault_role_file=bao.app_role(tmp_path / "role.json"),
        vault_database_role="database/cqox",
        postgres_url=postgres.bare_url,
    )


def test_the_user_is_there_as_long_as_the_command(settings: Settings, servers: tuple[OpenBao, GuardedPostgres]) -> None:
    _, postgres = servers
    before = postgres.users()
    with database_user(settings) as complete:
        with psycopg.connect(complete.postgres_url) as connection:
            row = connection.execute("SELECT current_user, current_setting('search_path')").fetchone()
        assert row is not None
        assert row == ((postgres.users() - before).pop(), "cqox")
        assert "password" not in repr(complete)
    wait_until(lambda: postgres.users() <= before)


def test_an_address_with_a_user_or_without_a_vault_is_left(settings: Settings) -> None:
    for given in (
        Settings(),
        Settings(postgres_url="postgresql://db/x"),
        replace(settings, postgres_url="postgresql://owner:x@db/x"),
        replace(settings, postgres_url=""),
    ):
        with database_user(given) as complete:
            assert complete is given


def test_without_a_user_the_command_says_why(settings: Settings, servers: tuple[OpenBao, GuardedPostgres]) -> None:
    bao, _ = servers
    with pytest.raises(SettingsError, match=r"CQOX_VAULT_DATABASE_ROLE: .*does not allow GET database/creds/other"):
        with database_user(replace(settings, vault_database_role="other")):
            pass
    with pytest.raises(SettingsError, match="POSTGRES_URL cannot be read"):
        with database_user(replace(settings, postgres_url="mysql://db")):
            pass
    with bao.sealed(), pytest.raises(VaultAway, match="it is sealed"):
        with database_user(settings):
            pass
