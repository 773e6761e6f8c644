from pathlib import Path

import httpx
import pytest

from services.cli.local_tls import LocalTls, verification_of
from services.config.configuration import SettingsError
from services.config.settings import Settings
from tests.servers.certificates import authority_in


def test_without_certificates_everything_is_http() -> None:
    assert LocalTls.of(Settings()) == LocalTls()
    assert LocalTls().scheme == "http"
    assert verification_of(Settings(), "engine") is None


def test_each_service_demands_the_identity_of_the_other(tmp_path: Path) -> None:
    authority = authority_in(tmp_path, "gateway")
    authority.issue("engine", days=1, identity="spiffe://prod/engine")
    tls = LocalTls.of(Settings(tls_dir=tmp_path / "{service}"))
    assert tls.scheme == "https"
    assert tls.settings == {
        "engine": {"CQOX_TLS_PEERS": "spiffe://cqox/gateway"},
        "gateway": {"CQOX_TLS_ENGINE": "spiffe://prod/engine"},
    }


def test_a_certificate_without_an_identity_is_an_invalid_setting(tmp_path: Path) -> None:
    authority = authority_in(tmp_path, "gateway")
    authority.issue("engine", days=1, identity="https://engine")
    with pytest.raises(SettingsError, match=r"certificate of the engine in .* has no identity"):
        LocalTls.of(Settings(tls_dir=tmp_path / "{service}"))
    with pytest.raises(SettingsError, match="CQOX_TLS_DIR: "):
        LocalTls.of(Settings(tls_dir=tmp_path))


def test_a_running_service_is_found_by_its_own_certificate_whatever_names_it_is_for(start, tmp_path: Path) -> None:
    authority = authority_in(tmp_path / "tls")
    authority.issue("gateway", days=1, names=("cqox.example",))
    folder = tmp_path / "tls" / "{service}"
    service = start("-m", "services.gateway", CQOX_TLS_DIR=str(folder), CQOX_TLS_PEERS="spiffe://cqox/client")
    verify = verification_of(Settings(tls_dir=folder), "gateway")
    assert verify is not None
    answer = httpx.get(f"{service.url}/health/live", verify=verify, trust_env=False)
    assert answer.status_code == 200
