import os
import stat
from pathlib import Path

import pytest

from cqox.certificates.folder import CertificatesUnusable, current_version, publish

FILES = {"cert": b"cert", "key": b"key", "ca": b"ca"}


def test_what_is_published_is_current_and_for_this_user_alone(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        folder = publish(tmp_path / "engine", **FILES)
    finally:
        os.umask(umask)
    version = current_version(tmp_path / "engine")
    assert version.folder == folder
    assert [one.read_bytes() for one in (version.cert, version.key, version.ca)] == [b"cert", b"key", b"ca"]
    assert {stat.S_IMODE(one.stat().st_mode) for one in (version.cert, version.key, version.ca)} == {0o600}
    assert {stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "engine", folder)} == {0o700}


def test_a_version_that_was_found_keeps_its_files_when_another_takes_its_place(tmp_path: Path) -> None:
    publish(tmp_path, **FILES)
    before = current_version(tmp_path)
    publish(tmp_path, cert=b"other", key=b"other", ca=b"other")
    assert current_version(tmp_path).stamp != before.stamp
    assert before.key.read_bytes() == b"key"


def test_versions_replaced_more_than_a_day_ago_are_removed(tmp_path: Path) -> None:
    first, second = publish(tmp_path, **FILES), publish(tmp_path, **FILES)
    third = publish(tmp_path, **FILES)
    assert first.exists()
    os.utime(second, (0, 0))
    fourth = publish(tmp_path, **FILES)
    assert not first.exists()
    # It was in force until the third was written, a moment ago.
    assert second.exists()
    assert third.exists()
    assert current_version(tmp_path).folder == fourth


@pytest.mark.parametrize("name", ["cert.pem", "key.pem", "ca.pem"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = publish(tmp_path, **FILES)
    (folder / name).unlink()
    with pytest.raises(CertificatesUnusable, match=name):
        current_version(tmp_path)


def test_an_empty_folder_has_no_version(tmp_path: Path) -> None:
    with pytest.raises(CertificatesUnusable, match=r"cert\.pem cannot be read: No such file"):
        current_version(tmp_path)


def test_a_secret_as_kubernetes_mounts_it_is_followed_through_its_links(tmp_path: Path) -> None:
    mounted = tmp_path / "current"
    for number, name in enumerate(("..1", "..2")):
        (mounted / name).mkdir(parents=True)
        for file in ("cert.pem", "key.pem", "ca.pem"):
            (mounted / name / file).write_text(f"{file} {number}")
    (mounted / "..data").symlink_to("..1")
    for file in ("cert.pem", "key.pem", "ca.pem"):
        (mounted / file).symlink_to(f"..data/{file}")
    before = current_version(tmp_path)
    (mounted / "..new").symlink_to("..2")
    os.replace(mounted / "..new", mounted / "..data")
    after = current_version(tmp_path)
    assert (before.folder.name, after.folder.name) == ("..1", "..2")
    assert after.key.read_text() == "key.pem 1"


def test_a_file_that_is_replaced_in_place_makes_another_version(tmp_path: Path) -> None:
    folder = publish(tmp_path, **FILES)
    before = current_version(tmp_path)
    (folder / "ca.pem").write_bytes(b"another authority")
    assert current_version(tmp_path).stamp != before.stamp
