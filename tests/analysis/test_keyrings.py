"""The mark of a sealed data directory: a ring that was lost or forgotten is noticed before anything is written."""

from pathlib import Path

import pytest

from cqox.analysis.keyrings import KEY_RING_FILE, MARK, check_mark, file_ring, put_mark, ring_of_directory
from cqox.chaos.simulation.disk import each_power_loss
from cqox.errors import StoreUnavailable
from cqox.storage import Sealing
from tests.storage.sealings import sealing_in


def test_a_directory_without_a_mark_takes_any_ring_and_keeps_the_first(tmp_path: Path) -> None:
    check_mark(tmp_path, Sealing())
    first, other = sealing_in(tmp_path), sealing_in(tmp_path / "other")
    check_mark(tmp_path, first)
    put_mark(tmp_path, first)
    check_mark(tmp_path, first)
    check_mark(tmp_path, sealing_in(tmp_path))
    with pytest.raises(StoreUnavailable, match="no longer has"):
        check_mark(tmp_path, other)
    with pytest.raises(StoreUnavailable, match="CQOX_KEYS"):
        check_mark(tmp_path, Sealing())
    put_mark(tmp_path, other)
    check_mark(tmp_path, first)


def test_a_damaged_mark_is_no_missing_one(tmp_path: Path) -> None:
    sealing = sealing_in(tmp_path)
    put_mark(tmp_path, sealing)
    mark = (tmp_path / MARK).read_bytes()
    for content in (b"", b"word", mark[:-1]):
        (tmp_path / MARK).write_bytes(content)
        with pytest.raises(StoreUnavailable, match="is damaged"):
            check_mark(tmp_path, sealing)


def test_a_directory_that_is_no_longer_sealed_has_no_mark(tmp_path: Path) -> None:
    put_mark(tmp_path, sealing_in(tmp_path))
    put_mark(tmp_path, Sealing())
    check_mark(tmp_path, Sealing())
    assert list(tmp_path.iterdir()) == []


def test_a_mark_outlives_a_power_failure_once_it_was_put_and_does_not_come_back(tmp_path: Path) -> None:
    sealing = sealing_in(tmp_path)
    for loss in each_power_loss(tmp_path, seeds=1):
        with loss.running():
            loss.begin()
            put_mark(loss.root, sealing)
        # Never a damaged one: nothing would open then.
        check_mark(loss.root, sealing)
        assert (loss.root / MARK).exists() or not loss.is_complete, loss
    for loss in each_power_loss(tmp_path, seeds=1):
        with loss.running():
            put_mark(loss.root, sealing)
            loss.begin()
            put_mark(loss.root, Sealing())
        if loss.is_complete:
            check_mark(loss.root, Sealing())
        else:
            check_mark(loss.root, sealing)


def test_a_ring_in_the_directory_is_found(tmp_path: Path) -> None:
    assert ring_of_directory(tmp_path) is None
    key = file_ring(tmp_path / KEY_RING_FILE).new_data_key("acme")
    ring = ring_of_directory(tmp_path)
    assert ring is not None
    assert ring.unwrap("acme", key.wrapped) == key.plain
