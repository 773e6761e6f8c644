from pathlib import Path

import pytest

from services.config.configuration import SettingsError, load
from services.config.settings import Settings


def test_a_directory_of_certificates_may_hold_one_for_each_service() -> None:
    settings = load({"CQOX_TLS_DIR": "/etc/tls/{service}"}).settings
    assert settings.tls_dir_of("engine") == Path("/etc/tls/engine")
    assert settings.tls_dir_of("gateway") == Path("/etc/tls/gateway")
    assert Settings().tls_dir_of("engine") is None


def test_the_engine_on_this_machine_is_https_where_there_are_certificates() -> None:
    assert load({"CQOX_TLS_DIR": "/etc/tls"}).settings.engine_urls == ("https://127.0.0.1:8080",)
    assert load({}).settings.engine_urls == ("http://127.0.0.1:8080",)


def test_several_peers_are_separated_by_commas() -> None:
    given = {"CQOX_TLS_DIR": "/etc/tls", "CQOX_TLS_PEERS": "spiffe://cqox/gateway, spiffe://cqox/monitor"}
    assert load(given).settings.peers == {"spiffe://cqox/gateway", "spiffe://cqox/monitor"}
    assert Settings().peers == frozenset()


@pytest.mark.parametrize("variable", ["CQOX_TLS_PEERS", "CQOX_TLS_ENGINE"])
def test_what_is_no_identity_is_refused_at_the_start(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable} must hold identities such as .*, not 'gateway'"):
        load({"CQOX_TLS_DIR": "/etc/tls", variable: "gateway"})


def test_peers_without_certificates_are_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="CQOX_TLS_PEERS needs CQOX_TLS_DIR"):
        load({"CQOX_TLS_PEERS": "spiffe://cqox/gateway"})
