import logging
import shutil
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from cqox.certificates import CertificatesUnusable, Credentials, current_version, publish
from cqox.certificates.authority import Authority
from tests.servers.certificates import authority_in, expired

HOUR = 3600.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return authority_in(tmp_path / "tls", "engine", days=1)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def of(authority: Authority, part: str = "engine") -> Credentials:
    return Credentials(authority.folder / part)


def test_a_renewed_certificate_is_in_force_at_the_next_call(authority: Authority) -> None:
    credentials = of(authority)
    before = credentials.current()
    assert credentials.current() is before
    assert before.identity == "spiffe://cqox/engine"
    assert before.half_life == pytest.approx(12 * HOUR)
    authority.renew("engine")
    after = credentials.current()
    assert after is not before
    assert after.version.folder == current_version(authority.folder / "engine").folder
    assert credentials.problem == ""


@pytest.mark.parametrize("context", ["server", "mutual", "client"])
def test_contexts_speak_tls_1_3_and_http_1_1_alone_and_resume_no_session(authority: Authority, context: str) -> None:
    made = getattr(of(authority).current(), context)
    assert made.minimum_version == ssl.TLSVersion.TLSv1_3
    assert made.verify_flags & ssl.VERIFY_X509_STRICT
    assert made.verify_mode == (ssl.CERT_NONE if context == "server" else ssl.CERT_REQUIRED)
    if context != "client":
        assert made.num_tickets == 0


def other_key(authority: Authority, version: Path) -> None:
    authority.issue("other", days=1)
    shutil.copy(authority.folder / "other/current/key.pem", version / "key.pem")


def encrypted_key(authority: Authority, version: Path) -> None:
    key = serialization.load_pem_private_key((version / "key.pem").read_bytes(), None)
    algorithm = serialization.BestAvailableEncryption(b"password")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    assert hasattr(key, "private_bytes")
    (version / "key.pem").write_bytes(key.private_bytes(*form, algorithm))


def foreign_authority(authority: Authority, version: Path) -> None:
    other = Authority.create(authority.folder.parent / "other")
    shutil.copy(other.folder / "authority/signing/cert.pem", version / "ca.pem")


BROKEN = {
    "another key": (other_key, "the key does not belong to the certificate"),
    "an encrypted key": (encrypted_key, "the key is encrypted"),
    "no key": (lambda _, version: (version / "key.pem").write_text("-"), "the certificate or its key cannot be read"),
    "no certificate": (lambda _, version: (version / "cert.pem").write_text(""), "the certificate or its key cannot"),
    "no authority": (lambda _, version: (version / "ca.pem").write_text(""), "the authorities cannot be read"),
    "a missing file": (lambda _, version: (version / "key.pem").unlink(), "key.pem cannot be read"),
    "another authority": (foreign_authority, "not accepted by its own authorities"),
    "one that has expired": (lambda authority, _: expired(authority, "engine"), "the certificate has expired at"),
    "one that is not valid yet": (
        lambda authority, _: authority.issue("engine", days=1, begin=datetime.now(UTC) + timedelta(hours=1)),
        "the certificate is not valid before",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_version_that_cannot_be_used_leaves_the_one_before_in_force_and_is_reported_once(
    authority: Authority, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, reason = BROKEN[what]
    credentials = of(authority)
    before = credentials.current()
    authority.renew("engine")
    spoil(authority, current_version(authority.folder / "engine").folder)
    with caplog.at_level(logging.INFO, logger="cqox.certificates"):
        for _ in range(3):
            assert credentials.current() is before
        assert reason in credentials.problem
    assert "the certificate in force is valid until 20" in credentials.problem
    assert sum(reason in line for line in caplog.messages) == 1
    authority.issue("engine", days=1)
    assert credentials.current() is not before
    assert credentials.problem == ""


def test_a_version_that_is_valid_later_is_taken_up_then(authority: Authority) -> None:
    clock, wall = Clock(), Clock()
    wall.seconds = datetime.now(UTC).timestamp()
    credentials = Credentials(authority.folder / "engine", now=wall, clock=clock)
    before = credentials.current()
    authority.issue("engine", days=1, begin=datetime.now(UTC) + timedelta(hours=1))
    assert credentials.current() is before
    wall.seconds += 2 * HOUR
    assert credentials.current() is before, "it is examined again only now and then"
    clock.seconds += 60
    assert credentials.current() is not before


def test_a_certificate_that_was_not_replaced_is_a_problem_in_the_last_sixth_of_its_life(authority: Authority) -> None:
    wall = Clock()
    wall.seconds = datetime.now(UTC).timestamp()
    credentials = Credentials(authority.folder / "engine", now=wall)
    wall.seconds += 19 * HOUR
    assert credentials.problem == ""
    wall.seconds += 2 * HOUR
    assert "the certificate expires at 20" in credentials.problem
    wall.seconds += 4 * HOUR
    assert "the certificate has expired at 20" in credentials.problem


def test_a_service_starts_with_an_expired_certificate_and_takes_up_the_next(authority: Authority) -> None:
    expired(authority, "engine")
    credentials = of(authority)
    assert "has expired" in credentials.problem
    authority.renew("engine", days=1)
    assert credentials.current().not_after > datetime.now(UTC).timestamp()
    assert credentials.problem == ""


def test_without_any_version_there_are_no_credentials(tmp_path: Path) -> None:
    with pytest.raises(CertificatesUnusable):
        Credentials(tmp_path)


def test_a_certificate_without_an_identity_may_be_of_an_authority_that_is_not_among_its_own(
    authority: Authority, tmp_path: Path
) -> None:
    # As a public certificate of a server whose clients have certificates of a private authority.
    public = authority_in(tmp_path / "public")
    public.issue("gateway", days=1, identity="https://cqox.example")
    made = current_version(public.folder / "gateway")
    private = current_version(authority.folder / "engine")
    publish(
        tmp_path / "gateway",
        cert=made.cert.read_bytes(),
        key=made.key.read_bytes(),
        ca=private.ca.read_bytes(),
    )
    assert Credentials(tmp_path / "gateway").current().identity == ""


def test_an_open_connection_learns_of_a_change_after_a_moment(authority: Authority) -> None:
    clock = Clock()
    credentials = Credentials(authority.folder / "engine", clock=clock)
    version = credentials.current().version
    assert credentials.is_in_force(version)
    authority.renew("engine")
    assert credentials.is_in_force(version)
    clock.seconds += 1
    assert not credentials.is_in_force(version)
