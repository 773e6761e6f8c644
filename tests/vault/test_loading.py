import subprocess
import sys

import pytest

import cqox.vault


@pytest.mark.parametrize(
    "module", ["cqox.vault", "cqox.analysis.stores", "cqox.storage.postgres", "services.config.configuration"]
)
def test_nothing_loads_the_client_of_a_vault_before_it_is_used(module: str) -> None:
    code = f"import sys, {module}; sys.exit('httpx' in sys.modules or 'cqox.vault.client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_every_public_name_is_there() -> None:
    for name in cqox.vault.__all__:
        assert getattr(cqox.vault, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'none'"):
        cqox.vault.none  # noqa: B018
