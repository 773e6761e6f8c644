"""One OpenBao for the session, with the engines and the policy of the services."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cqox.vault import Vault, VaultAccess
from tests.servers.openbao import OpenBao
from tests.servers.postgres_users import GuardedPostgres

type Opening = Callable[..., Vault]


@pytest.fixture(scope="session")
def bao_process() -> Iterator[OpenBao]:
    server = OpenBao()
    try:
        server.start()
        server.mount("transit")
        server.mount("kv", "secret", options={"version": "2"})
        server.allow()
        yield server
    finally:
        server.close()


@pytest.fixture
def bao(bao_process: OpenBao) -> OpenBao:
    """Unsealed."""
    bao_process.unseal()
    return bao_process


@pytest.fixture
def access(bao: OpenBao, tmp_path: Path) -> VaultAccess:
    """A login of its own."""
    return VaultAccess(address=bao.url, role_file=bao.app_role(tmp_path / "role.json"))


@pytest.fixture
def vault(access: VaultAccess) -> Iterator[Vault]:
    with Vault(access) as opened:
        yield opened


@pytest.fixture(scope="module")
def postgres(bao_process: OpenBao) -> Iterator[GuardedPostgres]:
    bao_process.unseal()
    bao_process.mount("database")
    server = GuardedPostgres()
    try:
        server.guard()
        yield server
    finally:
        # While it is there, so that the vault can remove its users.
        bao_process.unseal()
        bao_process.request("DELETE", "sys/mounts/database")
        server.close()
