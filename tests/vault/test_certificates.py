"""Certificates of the PKI engine of a real OpenBao."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from cqox.certificates import Credentials, current_version
from cqox.vault import Vault, VaultAccess, VaultRejected, VaultUnavailable
from cqox.vault.certificates import CertificateIssuer, CertificateRequest
from tests.servers.openbao import OpenBao
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("openbao")

NAMES = ("localhost", "127.0.0.1", "::1", "cqox.example.com")


def issuer(vault: Vault, folder: Path, part: str = "engine", names: tuple[str, ...] = NAMES) -> CertificateIssuer:
    request = CertificateRequest(mount="pki", role="cqox", identity=f"spiffe://cqox/{part}", names=names)
    return CertificateIssuer(vault, folder / part, request)


def test_a_certificate_has_the_identity_and_serves_both_sides(vault: Vault, bao: OpenBao, tmp_path: Path) -> None:
    bao.authority()
    for part in ("engine", "gateway"):
        issuer(vault, tmp_path, part).begin()
    engine, gateway = (Credentials(tmp_path / part) for part in ("engine", "gateway"))
    assert engine.current().identity == "spiffe://cqox/engine"
    assert engine.problem == gateway.problem == ""
    key = current_version(tmp_path / "engine").key
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert shake_hands(engine.current().mutual, gateway.current().client) == {
        ("URI", "spiffe://cqox/engine"),
        ("DNS", "localhost"),
        ("DNS", "cqox.example.com"),
        ("IP Address", "127.0.0.1"),
        ("IP Address", "0:0:0:0:0:0:0:1"),
    }


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> set[tuple[str, str]]:
    """Return the names in the certificate of the server, once both have accepted each other."""
    one, other = socket.socketpair()

    def serve() -> None:
        with server.wrap_socket(one, server_side=True) as wrapped:
            wrapped.sendall(wrapped.recv(1))

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(other) as wrapped:
        wrapped.sendall(b"x")
        assert wrapped.recv(1) == b"x"
        certificate = wrapped.getpeercert()
    thread.join()
    assert certificate is not None
    return set(certificate["subjectAltName"])  # type: ignore[arg-type]


def test_a_valid_certificate_is_kept_at_a_restart(vault: Vault, bao: OpenBao, tmp_path: Path) -> None:
    bao.authority()
    issuer(vault, tmp_path).begin()
    before = current_version(tmp_path / "engine")
    again = issuer(vault, tmp_path)
    again.begin()
    assert again.keep() > 60
    assert current_version(tmp_path / "engine") == before
    # Of another part it is replaced.
    (tmp_path / "engine").rename(tmp_path / "gateway")
    issuer(vault, tmp_path, "gateway").begin()
    assert Credentials(tmp_path / "gateway").current().identity == "spiffe://cqox/gateway"


def test_a_certificate_is_renewed_at_two_thirds_of_its_life(vault: Vault, bao: OpenBao, tmp_path: Path) -> None:
    bao.authority(ttl="9s")
    kept = issuer(vault, tmp_path)
    kept.begin()
    assert 3 <= kept.keep() <= 6
    credentials = Credentials(tmp_path / "engine")
    first = credentials.current()
    wait_until(lambda: kept.keep() and credentials.current() is not first)
    assert time.time() < first.not_after
    assert credentials.current().not_after > first.not_after
    assert 0 < vault.outage.leases["the certificate"] - vault.clock() < 10


def test_a_failed_renewal_keeps_the_certificate_and_says_until_when(vault: Vault, bao: OpenBao, tmp_path: Path) -> None:
    bao.authority(ttl="1h")
    kept = issuer(vault, tmp_path)
    kept.begin()
    before = current_version(tmp_path / "engine")
    kept._due = 0.0
    with bao.sealed():
        assert 1 <= kept.keep() <= 30
        assert "it is sealed; the certificate in force is valid until 20" in kept.problem
        # A restart of the service does not need the vault either.
        again = issuer(vault, tmp_path)
        again.begin()
    assert current_version(tmp_path / "engine") == before
    kept._due = 0.0
    wait_until(lambda: kept.keep() > 60 or setattr(kept, "_due", 0.0))
    assert kept.problem == ""
    assert current_version(tmp_path / "engine") != before


def test_without_any_certificate_the_vault_has_to_answer(vault: Vault, bao: OpenBao, tmp_path: Path) -> None:
    bao.authority()
    with bao.sealed(), pytest.raises(VaultUnavailable, match="it is sealed"):
        issuer(vault, tmp_path).begin()


def test_a_role_that_does_not_allow_a_name_is_named(vault: Vault, bao: OpenBao, tmp_path: Path) -> None:
    bao.authority()
    with pytest.raises(VaultRejected, match=r"pki/issue/cqox: .*other\.example\.org not allowed"):
        issuer(vault, tmp_path, names=(*NAMES, "other.example.org")).begin()
    with pytest.raises(VaultRejected, match="URI Subject Alternative Names"):
        CertificateIssuer(
            vault,
            tmp_path / "x",
            CertificateRequest(mount="pki", role="cqox", identity="spiffe://other/engine", names=NAMES),
        ).begin()


def test_peers_of_an_earlier_authority_are_accepted(vault: Vault, bao: OpenBao, tmp_path: Path) -> None:
    bao.authority()
    issuer(vault, tmp_path, "engine").begin()
    made = bao.write("pki/root/rotate/internal", common_name="CQOx test 2", ttl="8760h", key_type="ec", key_bits=256)
    bao.write("pki/root/replace", default=made["issuer_id"])
    issuer(vault, tmp_path, "gateway").begin()
    engine, gateway = (Credentials(tmp_path / part).current() for part in ("engine", "gateway"))
    assert len(gateway.client.get_ca_certs()) == 2
    assert shake_hands(engine.server, gateway.client)
    # The engine learns of the new authority with its next certificate.
    with pytest.raises((ssl.SSLError, OSError)):
        shake_hands_quietly(gateway.server, engine.client)
    issuer(vault, tmp_path, "engine")._issue()
    assert shake_hands(gateway.mutual, Credentials(tmp_path / "engine").current().client)


def shake_hands_quietly(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    one, other = socket.socketpair()
    with one, other:
        up = server.wrap_socket(one, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=lambda: _ignoring(up.do_handshake))
        thread.start()
        try:
            with client.wrap_socket(other):
                pass
        finally:
            other.close()
            thread.join()
            up.close()


def _ignoring(call: Callable[[], object]) -> None:
    with suppress(OSError):
        call()


def test_an_intermediate_authority_comes_with_the_certificate(vault: Vault, bao: OpenBao, tmp_path: Path) -> None:
    bao.authority()
    bao.mount("pki", "pki-intermediate", config={"max_lease_ttl": "8760h"})
    asked = bao.write(
        "pki-intermediate/intermediate/generate/internal", common_name="CQOx below", key_type="ec", key_bits=256
    )
    signed = bao.write("pki/root/sign-intermediate", csr=asked["csr"], common_name="CQOx below", ttl="4380h")
    root = bao.request("GET", "pki/issuer/default/json")["certificate"]
    bao.write("pki-intermediate/intermediate/set-signed", certificate=signed["certificate"] + "\n" + root)
    bao.authority("pki-intermediate")
    bao.allow(
        "intermediate",
        'path "pki-intermediate/issue/cqox" { capabilities = ["update"] }\n'
        'path "pki-intermediate/issuers" { capabilities = ["list"] }',
    )
    access = VaultAccess(address=bao.url, role_file=bao.app_role(tmp_path / "i.json", "intermediate"))
    with Vault(access) as of_intermediate:
        for part in ("engine", "gateway"):
            request = CertificateRequest(
                mount="pki-intermediate", role="cqox", identity=f"spiffe://cqox/{part}", names=NAMES
            )
            CertificateIssuer(of_intermediate, tmp_path / part, request).begin()
    assert current_version(tmp_path / "engine").cert.read_text().count("BEGIN CERTIFICATE") == 2
    engine, gateway = (Credentials(tmp_path / part).current() for part in ("engine", "gateway"))
    assert shake_hands(engine.mutual, gateway.client)
    assert shake_hands(gateway.mutual, engine.client)
