import ssl
from pathlib import Path

import pytest

from cqox.vault import VaultAccess, VaultMisused, check_address
from tests.servers.certificates import authority_in

LOCAL = "http://127.0.0.1:8200"


@pytest.mark.parametrize(
    "address", ["https://vault.example.com:8200", "https://vault", LOCAL, "http://localhost:1", "http://[::1]:8200/"]
)
def test_https_is_accepted_anywhere_and_http_on_this_machine(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    "address", ["http://vault.example.com:8200", "http://10.0.0.1", "http://127.0.0.1.example.com"]
)
def test_http_to_another_machine_is_refused(address: str) -> None:
    with pytest.raises(VaultMisused, match="must be https"):
        check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        *("", "vault", "ftp://vault", "https://", "https://vault:0", "https://vault:x", "https://u:p@vault"),
        *("https://v/v1", "https://v?a=b", "https://v#a", "https://[::1"),
    ],
)
def test_what_is_no_address_of_a_host_is_refused_without_being_quoted(address: str) -> None:
    with pytest.raises(VaultMisused, match="such as https://") as raised:
        check_address(address)
    assert "u:p" not in str(raised.value)


def test_without_named_authorities_the_public_ones_are_trusted() -> None:
    context = VaultAccess(address=LOCAL, role_file=Path("none")).context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_the_authorities_of_the_certificates_are_trusted_once_there_are_some(tmp_path: Path) -> None:
    access = VaultAccess(address=LOCAL, role_file=Path("none"), certificates=tmp_path / "tls" / "engine")
    before = access.trust_stamp()
    assert access.context().verify_mode == ssl.CERT_REQUIRED
    authority_in(tmp_path / "tls", "engine")
    assert access.trust_stamp() != before
    assert len(access.context().get_ca_certs()) == 1


def test_a_file_that_holds_no_authorities_is_named(tmp_path: Path) -> None:
    for content in ("nothing", ""):
        file = tmp_path / "ca.pem"
        file.write_text(content)
        with pytest.raises(VaultMisused, match=r"ca\.pem cannot be read"):
            VaultAccess(address=LOCAL, role_file=Path("none"), ca_file=file).context()
    with pytest.raises(VaultMisused, match="No such file"):
        VaultAccess(address=LOCAL, role_file=Path("none"), ca_file=tmp_path / "none").context()
