"""A cluster of two real servers, whose standby answers while it lags behind the leader: `make vault` runs these."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cqox.encryption import KeyRing
from cqox.vault import Vault, VaultAccess, VaultError, open_transit
from tests.encryption.keyring_contract import KeyRingContract
from tests.servers.openbao import OpenBao
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("openbao-cluster")


@pytest.fixture(scope="module")
def leader() -> Iterator[OpenBao]:
    server = OpenBao()
    try:
        server.start()
        server.mount("transit")
        server.mount("kv", "secret", options={"version": "2"})
        server.allow()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def standby(leader: OpenBao) -> Iterator[OpenBao]:
    server = OpenBao(leader=leader)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def at_leader(leader: OpenBao, tmp_path_factory: pytest.TempPathFactory) -> VaultAccess:
    role_file = leader.app_role(tmp_path_factory.mktemp("role") / "role.json")
    return VaultAccess(address=leader.url, role_file=role_file)


@pytest.fixture(scope="module")
def at_standby(at_leader: VaultAccess, standby: OpenBao) -> VaultAccess:
    """A login that the standby knows: operators make one long before it is used."""
    access = replace(at_leader, address=standby.url)
    wait_until(lambda: _logs_in(access))
    return access


def _logs_in(access: VaultAccess) -> bool:
    with Vault(access) as vault:
        try:
            vault.keep_token()
        except VaultError:
            return False
    return True


class TestTransitKeyRingOfStandby(KeyRingContract):
    @pytest.fixture
    def ring(self, at_standby: VaultAccess) -> Iterator[KeyRing]:
        with open_transit(at_standby) as ring:
            yield ring


def test_a_new_key_never_counts_as_destroyed_at_the_standby(at_leader: VaultAccess, at_standby: VaultAccess) -> None:
    with open_transit(at_leader) as one, open_transit(at_standby) as other:
        for number in range(40):
            key = one.new_data_key(f"new-{number}")
            assert other.unwrap(f"new-{number}", key.wrapped) == key.plain


def test_a_login_is_known_to_the_server_that_is_asked_next(at_standby: VaultAccess, leader: OpenBao) -> None:
    leader.write("secret/data/cqox/one", data={"a": "1"})
    for _ in range(15):
        with Vault(at_standby) as vault:
            vault.read("secret/data/cqox/one")
            assert vault.token_number == 1
