"""Originals of uploads: kept within a quota, shared by data sets, and removed before anything else."""

import errno
import json
import os
from pathlib import Path

import pytest

from cqox.encryption import is_sealed
from cqox.errors import NotFound, StorageFull
from cqox.storage import Original
from cqox.storage.manifest import digest_of
from cqox.storage.originals import Originals
from cqox.storage.sealing import UPLOAD, TenantSealing
from tests.storage.sealings import sealing_in

PLAIN = TenantSealing()


def free(wanted_bytes: int) -> None:
    """Check the room of a disk that is empty."""


def full(wanted_bytes: int) -> None:
    raise StorageFull("The disk is full.")


def uploaded(root: Path, content: bytes = b"y,w\n1,0\n") -> tuple[Path, Original]:
    path = root / f"upload-{len(content)}"
    path.write_bytes(content)
    return path, Original(
        name="a.csv", digest=digest_of(path), size_bytes=len(content), encoding="utf-8", options={"sheet": "2"}
    )


def place_of(root: Path, name: str, used_at: float = 100.0) -> Path:
    place = root / "datasets" / name
    place.mkdir(parents=True, exist_ok=True)
    os.utime(place, (used_at, used_at))
    return place


def originals(root: Path, quota_bytes: int = 1000) -> Originals:
    (root / "datasets").mkdir(exist_ok=True)
    return Originals(lambda: [root / "datasets"], quota_bytes)


def test_a_file_is_kept_by_a_hard_link_and_outlives_the_upload(tmp_path: Path) -> None:
    kept, place = originals(tmp_path), place_of(tmp_path, "a")
    path, original = uploaded(tmp_path)
    assert kept.keep(place, path, original, check_room=free, sealing=PLAIN)
    assert (place / "original").stat().st_ino == path.stat().st_ino
    path.unlink()
    view = tmp_path / "view"
    assert kept.link(place, view, verify=True, sealing=PLAIN) == original == kept.about(place, PLAIN)
    assert view.read_bytes() == b"y,w\n1,0\n"


def test_data_sets_of_one_file_share_it_and_count_it_once(tmp_path: Path) -> None:
    kept = originals(tmp_path, quota_bytes=10)
    path, original = uploaded(tmp_path, b"12345678")
    for name in ("a", "b"):
        assert kept.keep(place_of(tmp_path, name), path, original, check_room=free, sealing=PLAIN)
    assert kept.enforce() == 0
    assert (tmp_path / "datasets/a/original").stat().st_nlink == 3


def test_the_least_recently_used_go_first_and_that_is_no_use_of_their_data_set(tmp_path: Path) -> None:
    kept = originals(tmp_path, quota_bytes=25)
    for name, used_at, content in (("a", 300.0, b"a" * 10), ("b", 200.0, b"b" * 11), ("c", 400.0, b"c" * 12)):
        path, original = uploaded(tmp_path, content)
        place = place_of(tmp_path, name)
        assert kept.keep(place, path, original, check_room=free, sealing=PLAIN)
        os.utime(place, (used_at, used_at))
    assert [kept.has(tmp_path / "datasets" / name) for name in "abc"] == [True, False, True]
    assert originals(tmp_path, quota_bytes=22).enforce() == 0
    gone = tmp_path / "datasets/b"
    assert gone.stat().st_mtime == 200.0
    assert kept.about(gone, PLAIN) is not None
    with pytest.raises(NotFound) as refused:
        kept.link(gone, tmp_path / "view", verify=True, sealing=PLAIN)
    assert refused.value.field == "original"


def test_a_shared_file_counts_as_used_when_one_of_its_data_sets_was(tmp_path: Path) -> None:
    kept = originals(tmp_path)
    path, original = uploaded(tmp_path, b"s" * 12)
    for name, used_at in (("a", 100.0), ("b", 500.0)):
        kept.keep(place_of(tmp_path, name), path, original, check_room=free, sealing=PLAIN)
        os.utime(tmp_path / "datasets" / name, (used_at, used_at))
    other, about = uploaded(tmp_path, b"o" * 11)
    kept.keep(place_of(tmp_path, "c"), other, about, check_room=free, sealing=PLAIN)
    os.utime(tmp_path / "datasets/c", (300.0, 300.0))
    assert originals(tmp_path, quota_bytes=20).enforce() == 1
    assert [kept.has(tmp_path / "datasets" / name) for name in "abc"] == [True, True, False]


@pytest.mark.parametrize(("quota_bytes", "check_room"), [(0, free), (7, free), (1000, full)])
def test_none_is_kept_beyond_the_quota_or_on_a_full_disk_and_nothing_fails(
    tmp_path: Path, quota_bytes: int, check_room: object
) -> None:
    kept, place = originals(tmp_path, quota_bytes), place_of(tmp_path, "a")
    path, original = uploaded(tmp_path)
    assert not kept.keep(place, path, original, check_room=check_room, sealing=PLAIN)
    assert not kept.has(place)
    assert not kept.keep(tmp_path / "datasets/deleted", path, original, check_room=check_room, sealing=PLAIN)


def test_a_file_system_without_hard_links_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no hard links")

    monkeypatch.setattr(os, "link", refuse)
    kept, place = originals(tmp_path), place_of(tmp_path, "a")
    path, original = uploaded(tmp_path)
    assert kept.keep(place, path, original, check_room=free, sealing=PLAIN)
    assert (place / "original").stat().st_ino != path.stat().st_ino
    assert kept.link(place, tmp_path / "view", verify=True, sealing=PLAIN) == original
    assert sorted(each.name for each in place.iterdir()) == ["original", "original.json"]


def test_an_upload_that_began_before_encryption_is_kept_sealed(tmp_path: Path) -> None:
    sealing = sealing_in(tmp_path).of("default")
    kept, place = originals(tmp_path), place_of(tmp_path, "a")
    path, original = uploaded(tmp_path)
    assert kept.keep(place, path, original, check_room=free, sealing=sealing)
    assert is_sealed((place / "original").read_bytes())
    kept.link(place, tmp_path / "view", verify=True, sealing=sealing)
    assert sealing.read_file(tmp_path / "view", UPLOAD) == b"y,w\n1,0\n"
    assert {each.name for each in place.iterdir()} == {"original", "original.json"}


def test_a_damaged_file_is_removed_and_not_read(tmp_path: Path) -> None:
    kept, place = originals(tmp_path), place_of(tmp_path, "a")
    path, original = uploaded(tmp_path)
    kept.keep(place, path, original, check_room=free, sealing=PLAIN)
    path.write_bytes(b"y,w\n1,1\n")
    with pytest.raises(NotFound):
        kept.link(place, tmp_path / "view", verify=True, sealing=PLAIN)
    assert not kept.has(place)


def test_originals_make_way_one_by_one_and_not_where_all_of_them_do_not_suffice(tmp_path: Path) -> None:
    kept = originals(tmp_path)
    for name, used_at, content in (("a", 100.0, b"a" * 10), ("b", 200.0, b"b" * 11)):
        path, original = uploaded(tmp_path, content)
        kept.keep(place_of(tmp_path, name), path, original, check_room=free, sealing=PLAIN)
        os.utime(tmp_path / "datasets" / name, (used_at, used_at))
    kept.release(lambda freed_bytes: freed_bytes < 100)
    assert kept.has(tmp_path / "datasets/a")
    kept.release(lambda freed_bytes: freed_bytes < 10 and kept.has(tmp_path / "datasets/a"))
    assert [kept.has(tmp_path / "datasets" / name) for name in "ab"] == [False, True]


def test_a_data_set_of_an_older_version_has_none(tmp_path: Path) -> None:
    kept, place = originals(tmp_path), place_of(tmp_path, "a")
    assert kept.about(place, PLAIN) is None
    (place / "original.json").write_text(json.dumps({"name": "a"}))
    assert kept.about(place, PLAIN) is None
    with pytest.raises(NotFound):
        kept.link(place, tmp_path / "view", verify=False, sealing=PLAIN)
