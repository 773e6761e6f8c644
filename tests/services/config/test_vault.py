"""Settings of the vault, and secrets that refer to one."""

from pathlib import Path

import pytest

from services.config.configuration import SettingsError, load, load_command_line
from services.config.settings import Settings
from services.config.vault import VaultAway, is_reference, read_references, split_role, vault_access

ADDR = "http://127.0.0.1:1"


def settings(**given: str) -> Settings:
    return load({"CQOX_VAULT_ADDR": ADDR, "CQOX_VAULT_ROLE_FILE": "/etc/{service}.json", **given}).settings


def test_without_an_address_there_is_no_vault() -> None:
    assert vault_access(Settings(), "engine") is None


def test_each_service_has_its_login_and_its_authorities() -> None:
    given = settings(CQOX_TLS_DIR="/tls/{service}", CQOX_VAULT_NAMESPACE="team")
    engine, gateway = (vault_access(given, service) for service in ("engine", "gateway"))
    assert engine is not None
    assert gateway is not None
    assert (str(engine.role_file), str(engine.certificates)) == ("/etc/engine.json", "/tls/engine")
    assert (str(gateway.role_file), str(gateway.certificates)) == ("/etc/gateway.json", "/tls/gateway")
    assert (engine.address, engine.namespace, engine.ca_file) == (ADDR, "team", None)
    assert vault_access(given, "up") == engine
    by_file = vault_access(settings(CQOX_VAULT_CA_FILE="/ca.pem"), "engine")
    assert by_file is not None
    assert by_file.ca_file == Path("/ca.pem")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"CQOX_VAULT_ADDR": "http://vault.example.com"}, "CQOX_VAULT_ADDR: it must be https"),
        ({"CQOX_VAULT_ADDR": "https://u:planted@v"}, "CQOX_VAULT_ADDR: it must be an address"),
        ({"CQOX_VAULT_ROLE_FILE": ""}, "needs CQOX_VAULT_ROLE_FILE"),
        ({"CQOX_VAULT_PKI_ROLE": "cqox"}, "CQOX_VAULT_PKI_ROLE needs CQOX_TLS_DIR"),
        ({"CQOX_VAULT_ADDR": "", "CQOX_VAULT_PKI_ROLE": "x"}, "CQOX_VAULT_PKI_ROLE needs CQOX_VAULT_ADDR"),
        ({"CQOX_VAULT_ADDR": "", "CQOX_VAULT_DATABASE_ROLE": "x"}, "CQOX_VAULT_DATABASE_ROLE needs CQOX_VAULT_ADDR"),
    ],
)
def test_settings_that_do_not_fit_are_named(given: dict[str, str], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as raised:
        vault_access(settings(**given), "engine")
    assert "planted" not in str(raised.value)


def test_a_role_may_name_its_engine() -> None:
    assert split_role("pki", "cqox") == ("pki", "cqox")
    assert split_role("pki", "teams/pki/cqox") == ("teams/pki", "cqox")


def test_what_begins_with_vault_is_a_reference() -> None:
    assert is_reference("vault:secret/a#b")
    assert not is_reference("postgresql://vault:x@db/name")


def test_a_reference_needs_a_vault_that_answers(tmp_path: Path) -> None:
    environ = {"REDIS_URL": "vault:secret/cqox#redis"}
    with pytest.raises(SettingsError, match="REDIS_URL refers to a vault: set CQOX_VAULT_ADDR") as raised:
        load(environ)
    assert not isinstance(raised.value, VaultAway)
    role = tmp_path / "role.json"
    role.write_text('{"role_id": "a", "secret_id": "b"}')
    role.chmod(0o600)
    environ |= {"CQOX_VAULT_ADDR": ADDR, "CQOX_VAULT_ROLE_FILE": str(role)}
    with pytest.raises(VaultAway, match=r"REDIS_URL=vault:secret/cqox#redis: the vault at http://127\.0\.0\.1:1 is"):
        load(environ)
    role.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        load(environ)


def test_a_reference_may_be_in_the_file_of_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("vault:secret/cqox#token\n")
    with pytest.raises(SettingsError, match="CQOX_ADMIN_TOKEN refers to a vault"):
        load({"CQOX_ADMIN_TOKEN_FILE": str(file)})


def test_a_secret_of_the_other_service_is_not_asked_for() -> None:
    loaded = load_command_line("gateway", [], {"POSTGRES_URL": "vault:secret/cqox#url"})
    assert loaded.settings.postgres_url == ""


def test_no_other_setting_can_refer_to_a_vault() -> None:
    assert load({"CQOX_TRACE_URL": "http://x/{trace_id}"}).settings.trace_url == "http://x/{trace_id}"
    assert load({"CQOX_OIDC_ISSUER": "vault:secret/cqox#issuer"}).settings.oidc_issuer == "vault:secret/cqox#issuer"


def test_a_wrong_form_is_refused_before_anything_is_asked() -> None:
    access = vault_access(settings(), "engine")
    with pytest.raises(SettingsError, match="REDIS_URL=vault:nothing: it must be vault:<mount>"):
        read_references({"REDIS_URL": "vault:nothing"}, access)
