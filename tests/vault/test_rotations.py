"""Lives that are renewed and replaced in real time: `make vault` runs these."""

import time
from pathlib import Path

import pytest

from cqox.vault import Vault, VaultAccess
from cqox.vault.database import DatabaseLogins
from tests.servers.openbao import OpenBao
from tests.servers.postgres_users import GuardedPostgres
from tests.vault.test_client import read_secret, write_secret
from tests.vault.test_database import log_in
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("openbao")


def test_a_token_is_renewed_for_longer_than_its_life(bao: OpenBao, tmp_path: Path) -> None:
    write_secret(bao, a="3")
    access = VaultAccess(address=bao.url, role_file=bao.app_role(tmp_path / "role.json", token_period="2s"))
    with Vault(access) as vault:
        began = time.monotonic()
        while time.monotonic() < began + 5:
            assert read_secret(vault) == {"a": "3"}
            time.sleep(0.1)
        assert vault.token_number == 1


def test_a_token_that_cannot_be_prolonged_is_replaced_before_its_end(bao: OpenBao, tmp_path: Path) -> None:
    write_secret(bao, a="4")
    role = bao.app_role(tmp_path / "role.json", token_ttl="2s", token_max_ttl="3s")
    with Vault(VaultAccess(address=bao.url, role_file=role)) as vault:
        began = time.monotonic()
        while time.monotonic() < began + 5:
            assert read_secret(vault) == {"a": "4"}
            time.sleep(0.1)
        assert 2 <= vault.token_number <= 5


def test_a_user_is_renewed_until_its_longest_life_and_then_replaced(
    vault: Vault, postgres: GuardedPostgres, bao: OpenBao
) -> None:
    postgres.known_to(bao, seconds=2, most_seconds=4)
    logins = DatabaseLogins(vault, "database/creds/cqox")
    called: list[int] = []
    logins.on_replaced(lambda: called.append(logins.current().number))
    first = logins.current()

    def replaced() -> bool:
        logins.keep()
        assert log_in(logins, postgres)
        return logins.current().number == 4

    wait_until(replaced)
    assert called == [2, 3, 4]
    assert not logins.is_current(first.number)
    assert logins.is_current(4)
    wait_until(lambda: first.user not in postgres.users())
