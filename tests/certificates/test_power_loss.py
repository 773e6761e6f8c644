"""Certificates under a power loss at each operation that writes them."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cqox.certificates.authority import Authority, Step
from cqox.certificates.folder import current_version, publish
from cqox.chaos.simulation.disk import each_power_loss
from cqox.file_sync import sync


@pytest.fixture
def disk() -> Iterator[Path]:
    """Return a folder in memory where there is one: real flushes would take most of the time."""
    place = Path("/dev/shm")
    with TemporaryDirectory(dir=place if os.access(place, os.W_OK) else None) as folder:
        yield Path(folder)


def test_a_part_has_the_version_of_before_or_the_new_one_whole(disk: Path) -> None:
    for loss in each_power_loss(disk, seeds=1):
        folder = loss.root / "gateway"
        with loss.running():
            publish(folder, cert=b"old", key=b"old", ca=b"old")
            loss.begin()
            publish(folder, cert=b"new", key=b"new", ca=b"new")
        version = current_version(folder)
        contents = {path.read_bytes() for path in (version.cert, version.key, version.ca)}
        assert contents in ([{b"new"}] if loss.is_complete else [{b"old"}, {b"new"}]), loss


def test_an_authority_that_issued_is_there_with_its_key(disk: Path) -> None:
    for loss in each_power_loss(disk, seeds=1):
        folder = loss.root / "certs"
        with loss.running():
            loss.begin()
            Authority.create(folder).issue("gateway", days=1)
        if loss.is_complete:
            authority = Authority(folder)
            assert authority.show("gateway").authority == authority.signing, loss
            authority.issue("engine", days=1)


def test_a_replacement_of_the_authority_goes_on_after_a_power_failure(disk: Path) -> None:
    for loss in each_power_loss(disk, seeds=1):
        folder = loss.root / "certs"
        with loss.running():
            authority = Authority.create(folder)
            authority.issue("gateway", days=1)
            sync(loss.root)
            loss.begin()
            first = authority.replace()
            second = authority.replace()
        authority = Authority(folder)
        if loss.is_complete:
            assert (first, second) == (Step.ACCEPT, Step.ISSUE)
            assert authority.show("gateway").authority == authority.accepted[-1], loss
        # The authority that issued the certificate of a part is accepted by all.
        accepted = (folder / "gateway/current/ca.pem").read_bytes()
        issuer = authority.show("gateway").authority
        assert issuer, loss
        assert (folder / "authority" / issuer / "cert.pem").read_bytes() in accepted, loss
        for _ in range(4):
            if authority.replace() == Step.RETIRE:
                break
        assert authority.accepted == (authority.signing,), loss
