from pathlib import Path

import pytest

from cqox.certificates import Credentials
from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.engine.addresses import store_addresses
from tests.servers.certificates import authority_in


def test_stores_get_the_certificates_of_the_engine(tmp_path: Path) -> None:
    authority_in(tmp_path, "engine")
    settings = Settings(tls_dir=tmp_path / "{service}", redis_url="rediss://cache:6379/0")
    credentials = store_addresses(settings).credentials
    assert credentials is not None
    assert credentials.current().identity == "spiffe://cqox/engine"
    own = Credentials(tmp_path / "engine")
    assert store_addresses(settings, own).credentials is own


def test_without_servers_no_certificates_are_read(tmp_path: Path) -> None:
    assert store_addresses(Settings(tls_dir=tmp_path)).credentials is None
    assert store_addresses(Settings(redis_url="redis://cache:6379/0")).credentials is None


def test_certificates_that_cannot_be_read_are_an_invalid_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CQOX_TLS_DIR"):
        store_addresses(Settings(tls_dir=tmp_path, postgres_url="postgresql://db/x"))
