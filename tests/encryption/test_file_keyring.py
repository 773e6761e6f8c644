"""The key ring in a file: the contract of key rings, and what belongs to files."""

import json
import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cqox.encryption import KeyRing, KeysUnavailable
from cqox.encryption.file_keyring import FileKeyRing
from tests.encryption.keyring_contract import KeyRingContract, Unreachable


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return FileKeyRing(tmp_path / "keyring.json")


class TestFileKeyRing(KeyRingContract):
    @pytest.fixture
    def ring(self, tmp_path: Path) -> KeyRing:
        return FileKeyRing(tmp_path / "keyring.json")

    @pytest.fixture
    def reopened(self, ring: KeyRing, tmp_path: Path) -> KeyRing:
        return FileKeyRing(tmp_path / "keyring.json")

    @pytest.fixture
    def unreachable(self, ring: KeyRing, tmp_path: Path) -> Unreachable:
        @contextmanager
        def refused() -> Iterator[None]:
            # As where others can read it.
            path = tmp_path / "keyring.json"
            ring.new_data_key("present")
            path.chmod(0o644)
            os.utime(path)
            try:
                yield
            finally:
                path.chmod(0o600)
                os.utime(path)

        return refused


def test_the_file_is_readable_by_its_owner_alone(ring: KeyRing, tmp_path: Path) -> None:
    ring.new_data_key("acme")
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "keyring.json": 0o600,
        ".keyring.json.lock": 0o600,
    }


def test_another_process_opens_what_this_one_sealed(ring: KeyRing, tmp_path: Path) -> None:
    key = ring.new_data_key("acme")
    assert FileKeyRing(tmp_path / "keyring.json").unwrap("acme", key.wrapped) == key.plain


def test_a_ring_that_others_can_read_is_refused(ring: KeyRing, tmp_path: Path) -> None:
    key = ring.new_data_key("acme")
    (tmp_path / "keyring.json").chmod(0o640)
    os.utime(tmp_path / "keyring.json")
    for call in (ring.check, lambda: ring.new_data_key("acme"), lambda: ring.unwrap("acme", key.wrapped)):
        with pytest.raises(KeysUnavailable, match="chmod 600"):
            call()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"format": 1}',
        '{"format": 1, "tenants": {"acme": {"one": "AAAA"}}}',
        '{"format": 2, "tenants": {}}',
    ],
)
def test_a_damaged_ring_is_neither_used_nor_replaced(ring: KeyRing, tmp_path: Path, content: str) -> None:
    path = tmp_path / "keyring.json"
    path.write_text(content)
    path.chmod(0o600)
    for call in (ring.check, lambda: ring.new_data_key("acme"), lambda: ring.rotate("acme"), lambda: ring.destroy("a")):
        with pytest.raises(KeysUnavailable):
            call()
    assert path.read_text() == content


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(KeysUnavailable, match="cannot be written"):
        FileKeyRing(tmp_path / "missing" / "keyring.json").new_data_key("acme")


def test_a_ring_that_went_away_is_not_replaced_by_a_new_one(ring: KeyRing, tmp_path: Path) -> None:
    key = ring.new_data_key("acme")
    (tmp_path / "keyring.json").rename(tmp_path / "saved.json")
    calls = (
        ring.check,
        lambda: ring.new_data_key("acme"),
        lambda: ring.new_data_key("other"),
        lambda: ring.is_current("acme", key.wrapped),
        lambda: ring.rotate("acme"),
        lambda: ring.destroy("acme"),
    )
    for call in calls:
        with pytest.raises(KeysUnavailable, match="is gone"):
            call()
    assert not (tmp_path / "keyring.json").exists()
    (tmp_path / "saved.json").rename(tmp_path / "keyring.json")
    assert ring.unwrap("acme", key.wrapped) == key.plain


def test_a_link_stays_one_and_its_file_keeps_all_keys(tmp_path: Path) -> None:
    (tmp_path / "safe").mkdir()
    link, file = tmp_path / "keyring.json", tmp_path / "safe" / "ring.json"
    link.symlink_to(file)
    ring = FileKeyRing(link)
    keys = {tenant: ring.new_data_key(tenant) for tenant in ("a", "b")}
    ring.rotate("a")
    ring.destroy("b")
    assert link.is_symlink()
    assert [path.name for path in tmp_path.iterdir() if path.is_file() and path != link] == []
    assert FileKeyRing(file).unwrap("a", keys["a"].wrapped) == keys["a"].plain


def test_a_file_that_keeps_its_keys_is_not_overwritten(ring: KeyRing, tmp_path: Path) -> None:
    ring.new_data_key("acme")
    with (tmp_path / "keyring.json").open("rb") as former:
        ring.new_data_key("other")
        ring.rotate("acme")
        # A power failure may bring it back.
        assert json.loads(former.read())["tenants"].keys() == {"acme"}


def test_a_reader_finds_the_keys_while_others_are_destroyed(ring: KeyRing, tmp_path: Path) -> None:
    key = ring.new_data_key("kept")
    stop = threading.Event()

    def change() -> None:
        other = FileKeyRing(tmp_path / "keyring.json")
        while not stop.is_set():
            other.new_data_key("short")
            other.destroy("short")

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(3000):
            assert FileKeyRing(tmp_path / "keyring.json").unwrap("kept", key.wrapped) == key.plain
    finally:
        stop.set()
        thread.join()


def test_a_destroyed_key_is_in_no_file_of_the_folder(ring: KeyRing, tmp_path: Path) -> None:
    ring.new_data_key("acme")
    ring.new_data_key("other")
    keys = json.loads((tmp_path / "keyring.json").read_text())["tenants"]
    with (tmp_path / "keyring.json").open("rb") as former:
        ring.destroy("acme")
        # The former file is gone from its folder, and what it held was overwritten.
        assert not former.read().strip(b"\0")
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert keys["acme"]["1"].encode() not in left
    assert keys["other"]["1"].encode() in left


def test_engines_that_begin_at_once_make_one_key_for_a_tenant(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        made = pool.starmap(_key_of, [(path, "acme")] * 4 + [(path, f"t{number}") for number in range(4)])
    tenants = json.loads(path.read_text())["tenants"]
    assert {tenant: sorted(keys) for tenant, keys in tenants.items()} == {
        tenant: ["1"] for tenant in ("acme", "t0", "t1", "t2", "t3")
    }
    ring = FileKeyRing(path)
    assert [ring.unwrap(tenant, wrapped) for tenant, wrapped, _ in made] == [plain for _, _, plain in made]


def _key_of(path: Path, tenant_id: str) -> tuple[str, bytes, bytes]:
    key = FileKeyRing(path).new_data_key(tenant_id)
    return tenant_id, key.wrapped, key.plain
