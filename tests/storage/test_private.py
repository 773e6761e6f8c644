"""Owner-only permissions in a data directory, under any umask, for old files and folders too."""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cqox.storage import private
from cqox.storage.dataset_folders import TABLE
from cqox.storage.private import tighten, tighten_one
from cqox.storage.sqlite import SqliteStore
from tests.storage.bound import files_in, in_default
from tests.storage.records import a_dataset, a_report

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True, params=[0o022, 0o000])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def open_to_others(root: Path) -> dict[str, str]:
    """Return the modes of files and folders accessible to other users, the root included."""
    found = {}
    for path in [root, *root.rglob("*")]:
        mode = path.lstat().st_mode
        if mode & 0o077 and not path.is_symlink():
            found[str(path.relative_to(root))] = oct(mode & 0o777)
    return found


def modes(folder: Path) -> dict[str, int]:
    return {one.name: one.stat().st_mode & 0o777 for one in folder.iterdir()}


async def test_files_of_the_file_store_are_private(tmp_path: Path) -> None:
    root = tmp_path / "data"
    files = files_in(root)
    folder = files.incoming()
    (folder / TABLE).write_bytes(b"table")
    await files.keep(folder, a_dataset("d"))
    await files.write_figure(files.figure("a", "forest", "svg"), b"<svg/>")
    async with files.reading("d"):
        assert open_to_others(root) == {}


async def test_a_copy_for_a_reader_is_private_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError

    files = files_in(tmp_path / "data")
    folder = files.incoming()
    (folder / TABLE).write_bytes(b"table")
    await files.keep(folder, a_dataset("d"))
    monkeypatch.setattr(os, "link", no_links)
    async with files.reading("d"):
        assert open_to_others(tmp_path / "data") == {}


async def test_the_database_and_its_wal_are_private(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as store:
        await store.save(a_report(1))
        found = modes(tmp_path)
    assert found == dict.fromkeys(("results.sqlite", "results.sqlite-wal", "results.sqlite-shm"), 0o600)


async def test_an_older_database_becomes_private_before_its_wal_is_created(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as store:
        await store.save(a_report(1))
    path.chmod(0o644)
    async with in_default(SqliteStore.open, path) as store:
        await store.save(a_report(2))
        assert set(modes(tmp_path).values()) == {0o600}


def older(root: Path) -> None:
    (root / "datasets/d").mkdir(parents=True)
    (root / "datasets/d" / TABLE).write_bytes(b"table")
    (root / "results.sqlite").write_bytes(b"")
    (root / "run").write_bytes(b"")
    (root / "run").chmod(0o755)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(root / "a.sock"))
    os.mkfifo(root / "pipe")


async def test_files_of_an_older_version_are_tightened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "data"
    older(root)
    await files_in(root).directory.tighten()
    assert open_to_others(root) == {}
    assert (root / "run").stat().st_mode & 0o777 == 0o700
    assert (root / "datasets/d" / TABLE).read_bytes() == b"table"
    assert not caplog.records


async def test_the_root_is_tightened_before_anything_else(tmp_path: Path) -> None:
    root = tmp_path / "data"
    older(root)
    files_in(root)
    assert root.stat().st_mode & 0o777 == 0o700


def test_links_are_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "data", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "file").write_bytes(b"")
    (outside / "file").chmod(0o644)
    outside.chmod(0o755)
    (root / "file").symlink_to(outside / "file")
    (root / "folder").symlink_to(outside)
    tighten(root)
    tighten_one(root / "file")
    assert (outside.stat().st_mode & 0o777, (outside / "file").stat().st_mode & 0o777) == (0o755, 0o644)


def test_a_data_directory_behind_a_symlink_is_tightened(tmp_path: Path) -> None:
    older(tmp_path / "real")
    (tmp_path / "data").symlink_to(tmp_path / "real")
    files_in(tmp_path / "data")
    tighten(tmp_path / "data")
    assert open_to_others(tmp_path / "real") == {}


def test_another_volume_below_is_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "data dir"
    older(root)
    secret = root / "secrets"
    secret.mkdir()
    (secret / "postgres-password").write_bytes(b"x")
    (secret / "postgres-password").chmod(0o444)
    mounts = tmp_path / "mountinfo"
    place = str(secret).replace(" ", r"\040")
    mounts.write_text(f"36 35 98:0 /mnt1 {place} ro,noatime master:1 - ext3 /dev/root ro\n")
    monkeypatch.setattr(private, "_MOUNTS", mounts)
    tighten(root)
    assert set(open_to_others(root)) <= {"secrets", "secrets/postgres-password"}
    assert (secret / "postgres-password").stat().st_mode & 0o777 == 0o444


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_other_users_keep_their_mode_and_are_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "data"
    older(root)
    for name in ("datasets/d", f"datasets/d/{TABLE}"):
        (root / name).chmod(0o755)
        os.chown(root / name, 54321, 54321)
    with caplog.at_level(logging.WARNING):
        tighten(root)
    assert set(open_to_others(root)) == {"datasets/d", f"datasets/d/{TABLE}"}
    [record] = caplog.records
    assert "permit access by other users: 2, such as" in record.getMessage()
    assert "'datasets/d'" in record.getMessage()


def test_modes_that_cannot_be_changed_are_reported_without_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    older(tmp_path / "data")
    monkeypatch.setattr(os, "chmod", refuse)
    tighten(tmp_path / "data")
    assert len(caplog.records) == 1
    tighten(tmp_path / "none")
