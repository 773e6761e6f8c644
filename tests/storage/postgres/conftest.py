"""A PostgreSQL whose users a real OpenBao creates."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cqox.vault import Vault, VaultAccess
from tests.servers.openbao import OpenBao
from tests.servers.postgres_users import GuardedPostgres


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
