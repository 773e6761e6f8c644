"""Encryption at rest in stores: sealed and plain data next to each other, and neither taken for the other."""

import io
from pathlib import Path

import pytest

from cqox.encryption import SealBroken, is_sealed
from cqox.errors import StoreUnavailable
from cqox.storage.sealing import PlainWriter, Sealing, TenantSealing
from tests.storage.sealings import sealing_in

OFF = TenantSealing()


@pytest.fixture
def on(tmp_path: Path) -> TenantSealing:
    return sealing_in(tmp_path).of("acme")


def test_bytes_and_texts_are_sealed_and_opened(on: TenantSealing) -> None:
    for plain in (b"", b"text", bytes(3_000_000)):
        assert is_sealed(on.seal(plain, "a"))
        assert on.open(on.seal(plain, "a"), "a") == plain
    for text in ("", "日本語", "lone \ud800"):
        stored = on.seal_text(text, "a")
        assert stored is not None
        assert stored.startswith("cqox-sealed:")
        assert stored.isascii()
        assert on.open_text(stored, "a") == text
    assert on.seal_text(None, "a") is None
    assert on.open_text(None, "a") is None


def test_what_was_stored_before_is_read_as_it_is(on: TenantSealing) -> None:
    assert on.open(b"plain", "a") == b"plain"
    assert on.open_text("plain", "a") == "plain"
    assert OFF.seal(b"plain", "a") == b"plain"
    assert OFF.seal_text("plain", "a") == "plain"


def test_without_a_ring_sealed_data_are_refused_and_not_damaged(on: TenantSealing) -> None:
    for call in (
        lambda: OFF.open(on.seal(b"x", "a"), "a"),
        lambda: OFF.open_text(on.seal_text("x", "a"), "a"),
        lambda: OFF.data_key(),
    ):
        with pytest.raises(StoreUnavailable, match="CQOX_KEYS"):
            call()


@pytest.mark.parametrize("text", ["cqox-sealed:", "cqox-sealed:!", "cqox-sealed:AAAA"])
def test_text_that_only_looks_sealed_is_broken(on: TenantSealing, text: str) -> None:
    with pytest.raises(SealBroken):
        on.open_text(text, "a")


def test_files_are_written_for_their_owner_alone_and_read_in_blocks(tmp_path: Path, on: TenantSealing) -> None:
    plain = bytes(range(256)) * 10_000
    for sealing, name in ((on, "sealed"), (OFF, "plain")):
        path = tmp_path / name
        sealing.write_file(path, plain, "a")
        assert path.stat().st_mode & 0o777 == 0o600
        assert is_sealed(path.read_bytes()) is sealing.is_on
        assert sealing.read_file(path, "a") == plain
        with sealing.blocks(path, "a") as blocks:
            assert b"".join(blocks) == plain
    assert on.digest(tmp_path / "sealed", "a") == OFF.digest(tmp_path / "plain", "a")
    # Written before encryption was switched on.
    assert on.digest(tmp_path / "plain", "a") == OFF.digest(tmp_path / "plain", "a")


def test_a_worker_gets_the_keys_of_its_files_and_no_others(tmp_path: Path, on: TenantSealing) -> None:
    sealed, plain = tmp_path / "sealed", tmp_path / "plain"
    on.write_file(sealed, b"x", "table/1/sealed")
    plain.write_bytes(b"x")
    keys = on.keys_of({sealed: "table/1/sealed", plain: "table/1/plain"}, new="table/2")
    assert keys.contexts == {"sealed": "acme\0table/1/sealed"}
    assert len(keys.keys) == 1
    assert keys.sealed_as == "acme\0table/2"
    assert set(keys.to_arguments()) == {"sealed", "seal"}
    assert OFF.keys_of({plain: "a"}, new="b").to_arguments() == {}
    (plain_key,) = keys.keys.values()
    assert repr(plain_key) not in repr(keys)
    with pytest.raises(StoreUnavailable):
        OFF.keys_of({sealed: "a"})


def test_what_is_current_follows_the_setting_and_the_newest_key(tmp_path: Path) -> None:
    sealing = sealing_in(tmp_path)
    on = sealing.of("acme")
    head = on.seal(b"x", "a")
    assert on.is_current(head)
    assert not on.is_current(b"plain")
    assert OFF.is_current(b"plain")
    assert not OFF.is_current(head)
    assert sealing.ring is not None
    sealing.ring.rotate("acme")
    assert not on.is_current(head)


def test_a_plain_writer_writes_what_it_is_given(tmp_path: Path) -> None:
    for end in ("close", "abandon"):
        writer = PlainWriter((tmp_path / "file").open("wb"))
        assert writer.write(b"abc") == 3
        getattr(writer, end)()
        assert (tmp_path / "file").read_bytes() == b"abc"
    assert isinstance(OFF.writer(io.BytesIO(), "a"), PlainWriter)


def test_each_tenant_has_sealing_of_its_own(tmp_path: Path) -> None:
    sealing = sealing_in(tmp_path)
    assert sealing.of("acme") is sealing.of("acme")
    with pytest.raises(StoreUnavailable):
        sealing.of("other").open(sealing.of("acme").seal(b"x", "a"), "a")
    sealed = sealing.of("acme").seal(b"x", "a")
    assert sealing.ring is not None
    assert sealing.destroy("acme") is True
    assert sealing.destroy("acme") is False
    assert Sealing().destroy("acme") is False
    with pytest.raises(StoreUnavailable, match="no longer has"):
        sealing.of("acme").open(sealed, "a")
