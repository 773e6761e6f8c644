from pathlib import Path

import pytest

from cqox.certificates import Credentials
from cqox.storage.objects.address import Keys, ObjectStoreAddress
from cqox.vault import Vault, VaultAccess
from cqox.vault.database import DatabaseLogins
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


def test_users_of_a_vault_need_an_address_without_one() -> None:
    access = VaultAccess(address="http://127.0.0.1:1", role_file=Path("none"))
    with Vault(access) as vault:
        logins = DatabaseLogins(vault, "database/creds/cqox")
        bare = Settings(postgres_url="postgresql://db/x")
        assert store_addresses(bare, logins=logins).logins is logins
        for url, reason in (
            ("", "CQOX_VAULT_DATABASE_ROLE needs POSTGRES_URL"),
            ("postgresql://user@db/x", "POSTGRES_URL names a user"),
            ("mysql://db/x", "POSTGRES_URL cannot be read"),
        ):
            with pytest.raises(SettingsError, match=reason):
                store_addresses(Settings(postgres_url=url), logins=logins)


def test_the_object_store_is_that_of_the_settings() -> None:
    assert store_addresses(Settings()).objects is None
    given = Settings(
        object_store="s3://bucket/prefix",
        object_store_endpoint="https://objects.example.com",
        object_store_region="eu-central-1",
        object_store_access_key="which",
        object_store_secret_key="hush",
        object_copies_bytes=5,
    )
    addresses = store_addresses(given)
    assert addresses.copies_bytes == 5
    assert addresses.objects == ObjectStoreAddress(
        bucket="bucket",
        prefix="prefix",
        endpoint="https://objects.example.com",
        region="eu-central-1",
        keys=Keys(access_key="which", secret_key="hush"),
    )
    assert "hush" not in repr(given)
    assert "hush" not in repr(addresses)


def test_an_object_store_that_cannot_be_reached_so_is_an_invalid_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="CQOX_OBJECT_STORE must be an address"):
        store_addresses(Settings(object_store="/data"))
    monkeypatch.setattr("services.engine.addresses.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="pip install 'cqox\\[stores\\]'"):
        store_addresses(Settings(object_store="s3://bucket"))
