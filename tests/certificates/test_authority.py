import itertools
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cqox.certificates import CertificatesUnusable, Credentials
from cqox.certificates.authority import Authority, AuthorityExists, AuthorityMissing, InvalidPart, Step
from tests.servers.certificates import authority_in

PARTS = ("engine", "gateway")


def agree(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Perform a mutual handshake in memory, and pass a byte each way."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for sending, receiving in (sides, sides[::-1]):
        sending.write(b"x")
        assert receiving.read(1) == b"x"


def all_agree(authority: Authority) -> None:
    loaded = [Credentials(authority.folder / part).current() for part in PARTS]
    for server, client in itertools.product(loaded, loaded):
        agree(server.mutual, client.client)


def test_parts_of_one_authority_accept_each_other_and_no_others(tmp_path: Path) -> None:
    all_agree(authority_in(tmp_path / "tls", *PARTS))
    stranger = authority_in(tmp_path / "other", "gateway")
    with pytest.raises(ssl.SSLError):
        agree(
            Credentials(tmp_path / "tls" / "engine").current().mutual,
            Credentials(stranger.folder / "gateway").current().client,
        )


def test_a_certificate_names_identity_host_names_and_addresses(tmp_path: Path) -> None:
    issued = authority_in(tmp_path).issue("engine", days=2, names=("engine.example", "10.0.0.7"))
    assert issued.identity == "spiffe://cqox/engine"
    assert issued.names == ("engine", "engine.example", "10.0.0.7")
    assert issued.not_after - issued.not_before == timedelta(days=2)
    assert issued.not_before < datetime.now(UTC)


def test_keys_are_for_this_user_alone(tmp_path: Path) -> None:
    authority_in(tmp_path / "tls", *PARTS)
    found = list((tmp_path / "tls").rglob("*"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_file()} == {0o600}
    folders = [tmp_path / "tls", *(path for path in found if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_an_existing_authority_is_never_replaced_by_creation(tmp_path: Path) -> None:
    authority = authority_in(tmp_path, "engine")
    before = (tmp_path / "authority/signing/key.pem").read_bytes()
    with pytest.raises(AuthorityExists):
        Authority.create(tmp_path)
    assert (tmp_path / "authority/signing/key.pem").read_bytes() == before
    assert authority.parts == ("engine",)


def test_a_folder_without_an_authority_has_none(tmp_path: Path) -> None:
    with pytest.raises(AuthorityMissing):
        Authority(tmp_path)


@pytest.mark.parametrize("name", ["authority", "", "a/b", "..", "A", "-a", "a" * 64])
def test_a_name_that_cannot_be_a_folder_and_a_host_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidPart):
        authority_in(tmp_path).issue(name, days=1)


def test_renewal_keeps_names_identity_and_life_and_changes_the_key(tmp_path: Path) -> None:
    authority = authority_in(tmp_path)
    first = authority.issue("engine", days=3, names=("x.example",), identity="spiffe://prod/engine")
    key = (tmp_path / "engine/current/key.pem").read_bytes()
    for _ in range(3):
        again = authority.renew("engine")
    assert (again.names, again.identity) == (first.names, first.identity)
    assert abs((again.not_after - again.not_before) - (first.not_after - first.not_before)) < timedelta(seconds=3)
    assert (tmp_path / "engine/current/key.pem").read_bytes() != key


def test_an_authority_is_replaced_in_three_steps_and_every_part_accepts_every_other_all_along(tmp_path: Path) -> None:
    authority = authority_in(tmp_path, *PARTS)
    old = Credentials(tmp_path / "gateway").current()
    steps = []
    for _ in Step:
        before = [Credentials(tmp_path / part).current() for part in PARTS]
        steps.append(authority.replace())
        all_agree(authority)
        # A part that has taken the step and one that has not yet.
        for part in PARTS:
            after = Credentials(tmp_path / part).current()
            for other in before:
                agree(after.mutual, other.client)
                agree(other.mutual, after.client)
    assert steps == [Step.ACCEPT, Step.ISSUE, Step.RETIRE]
    assert len(authority.accepted) == 1
    with pytest.raises(ssl.SSLError):
        agree(Credentials(tmp_path / "engine").current().mutual, old.client)


def test_the_second_step_is_finished_where_it_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = authority_in(tmp_path, *PARTS)
    authority.replace()
    renew = Authority.renew

    def broken(self: Authority, part: str) -> None:
        if part == "gateway":
            raise OSError("the disk is full")
        renew(self, part)

    with monkeypatch.context() as patched:
        patched.setattr(Authority, "renew", broken)
        with pytest.raises(OSError):
            authority.replace()
    assert authority.show("engine").authority != authority.show("gateway").authority
    assert authority.replace() is Step.ISSUE
    assert authority.show("engine").authority == authority.show("gateway").authority == authority.signing
    assert authority.replace() is Step.RETIRE


def test_no_certificate_outlives_its_authority(tmp_path: Path) -> None:
    issued = authority_in(tmp_path).issue("engine", days=36_500)
    assert issued.not_after < datetime.now(UTC) + timedelta(days=3651)


def test_a_part_whose_certificate_cannot_be_read_is_named(tmp_path: Path) -> None:
    authority = authority_in(tmp_path, "engine")
    (tmp_path / "engine/current/cert.pem").write_text("x")
    with pytest.raises(CertificatesUnusable, match="certificate of engine cannot be read"):
        authority.show("engine")
