"""Users of a real PostgreSQL, created by a real OpenBao."""

from dataclasses import replace

import psycopg
import pytest

from cqox.vault import Vault, VaultRefused, VaultUnavailable
from cqox.vault.database import DatabaseLogin, DatabaseLogins
from tests.servers.openbao import OpenBao
from tests.servers.postgres_users import GuardedPostgres
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("openbao")


@pytest.fixture
def logins(vault: Vault, postgres: GuardedPostgres, bao: OpenBao) -> DatabaseLogins:
    postgres.known_to(bao, seconds=3600)
    return DatabaseLogins(vault, "database/creds/cqox")


def log_in(logins: DatabaseLogins, postgres: GuardedPostgres) -> str:
    login = logins.current()
    with psycopg.connect(postgres.bare_url, user=login.user, password=login.password) as connection:
        return str(connection.execute("SELECT current_user").fetchone()[0])  # type: ignore[index]


def test_nothing_is_created_before_it_is_needed(logins: DatabaseLogins, postgres: GuardedPostgres) -> None:
    before = postgres.users()
    assert logins.keep() > 0
    assert postgres.users() == before
    assert log_in(logins, postgres) == logins.current().user
    assert postgres.users() - before == {logins.current().user}


def test_a_password_is_in_no_representation(logins: DatabaseLogins) -> None:
    login = logins.current()
    assert login.password not in repr(login)
    assert login.password not in repr(logins)


def test_a_user_ends_with_the_token_so_that_another_login_replaces_it(
    logins: DatabaseLogins, vault: Vault, postgres: GuardedPostgres, bao: OpenBao
) -> None:
    first = logins.current()
    bao.revoke_tokens()
    vault.read("auth/token/lookup-self")
    assert vault.token_number == 2
    logins.keep()
    assert logins.current().number == 2
    assert log_in(logins, postgres) != first.user


def test_a_user_serves_while_the_vault_is_sealed(
    logins: DatabaseLogins, postgres: GuardedPostgres, bao: OpenBao
) -> None:
    login = logins.current()
    with bao.sealed():
        logins._login = _due(logins)
        assert 0 < logins.keep() <= 5
        assert logins.current().user == login.user
        assert log_in(logins, postgres) == login.user
    wait_until(lambda: _renewed(logins))
    assert logins.current().user == login.user


def _due(logins: DatabaseLogins) -> DatabaseLogin:
    login = logins._login
    assert login is not None
    return replace(login, renew_at=0.0)


def _renewed(logins: DatabaseLogins) -> bool:
    logins._login = _due(logins)
    logins.keep()
    login = logins._login
    return login is not None and login.renew_at > logins._vault.clock() + 60


def test_a_user_that_is_gone_is_replaced(logins: DatabaseLogins, postgres: GuardedPostgres) -> None:
    first = logins.current()
    logins.renounce(first.number + 1)
    assert logins.is_current(first.number)
    logins.renounce(first.number)
    assert not logins.is_current(first.number)
    assert log_in(logins, postgres) != first.user


def test_without_a_vault_or_a_role_there_is_no_user(vault: Vault, bao: OpenBao, logins: DatabaseLogins) -> None:
    with pytest.raises(VaultRefused, match="database/creds/other"):
        DatabaseLogins(vault, "database/creds/other").current()
    with bao.sealed(), pytest.raises(VaultUnavailable):
        logins.current()
