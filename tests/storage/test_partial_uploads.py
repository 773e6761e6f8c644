"""Uploads in pieces: what is acknowledged stays, what is not never counts, and one request writes at a time."""

import os
import time
from pathlib import Path

import pytest

from cqox.errors import BulkheadFull, LimitExceeded, NotFound, UploadConflict
from cqox.storage.partial_upload import PARTIAL_SECONDS, PartialUpload
from cqox.storage.partial_uploads import PartialUploads
from cqox.storage.sealing import UPLOAD, TenantSealing
from tests.storage.sealings import sealing_in


@pytest.fixture(autouse=True, params=["plain", "sealed"])
def sealings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with encryption at rest off, and on."""
    monkeypatch.setitem(_SEALING, "now", sealing_in(tmp_path, is_on=request.param == "sealed").of("default"))


_SEALING = {"now": TenantSealing()}


def uploads_in(root: Path) -> PartialUploads:
    return PartialUploads(root / "partial", _SEALING["now"])


def content_of(path: Path) -> bytes:
    with _SEALING["now"].blocks(path, UPLOAD) as blocks:
        return b"".join(blocks)


def begun(root: Path, size_bytes: int = 6) -> tuple[PartialUploads, PartialUpload]:
    uploads = uploads_in(root)
    return uploads, uploads.create(name="a.csv", size_bytes=size_bytes, fingerprint="6 bytes")


def append(uploads: PartialUploads, upload_id: str, offset: int, data: bytes) -> int:
    piece = uploads.open_piece(upload_id, offset)
    try:
        piece.write(data)
        return piece.commit()
    finally:
        piece.close()


def leave(root: Path, upload_id: str, seconds: float) -> None:
    """Make an upload look as if its last piece was some seconds ago."""
    at = time.time() - seconds
    os.utime(root / "partial" / upload_id / "offset", (at, at))


def test_pieces_follow_each_other_to_the_whole_file(tmp_path: Path) -> None:
    uploads, upload = begun(tmp_path)
    assert (upload.name, upload.size_bytes, upload.fingerprint, upload.offset) == ("a.csv", 6, "6 bytes", 0)
    assert append(uploads, upload.upload_id, 0, b"abc") == 3
    # Another engine on the volume, or the same one after its restart.
    other = uploads_in(tmp_path)
    assert append(other, upload.upload_id, 3, b"") == 3
    assert append(other, upload.upload_id, 3, b"def") == 6
    assert uploads.find(upload.upload_id).is_complete
    uploads.link(upload.upload_id, tmp_path / "view")
    assert content_of(tmp_path / "view") == b"abcdef"


def test_another_offset_is_refused_with_the_right_one(tmp_path: Path) -> None:
    uploads, upload = begun(tmp_path)
    append(uploads, upload.upload_id, 0, b"abc")
    for offset in (0, 2, 4, 6):
        with pytest.raises(UploadConflict) as refused:
            uploads.open_piece(upload.upload_id, offset)
        assert refused.value.offset == 3


def test_bytes_that_were_not_acknowledged_are_cut_off(tmp_path: Path) -> None:
    uploads, upload = begun(tmp_path)
    append(uploads, upload.upload_id, 0, b"abc")
    piece = uploads.open_piece(upload.upload_id, 3)
    piece.write(b"xx")
    # As where its process is killed here.
    piece.close()
    assert uploads.find(upload.upload_id).offset == 3
    append(uploads, upload.upload_id, 3, b"d")
    append(uploads, upload.upload_id, 4, b"ef")
    uploads.link(upload.upload_id, tmp_path / "view")
    assert content_of(tmp_path / "view") == b"abcdef"


def test_what_a_disk_has_lost_counts_for_nothing(tmp_path: Path) -> None:
    uploads, upload = begun(tmp_path)
    append(uploads, upload.upload_id, 0, b"abc")
    os.truncate(tmp_path / "partial" / upload.upload_id / "content", 1)
    # Of sealed bytes a part of a frame is worth nothing.
    left = 0 if _SEALING["now"].is_on else 1
    assert uploads.find(upload.upload_id).offset == left
    append(uploads, upload.upload_id, left, b"abcdef"[left:])
    uploads.link(upload.upload_id, tmp_path / "view")
    assert content_of(tmp_path / "view") == b"abcdef"


def test_two_requests_do_not_write_at_once(tmp_path: Path) -> None:
    uploads, upload = begun(tmp_path)
    piece = uploads.open_piece(upload.upload_id, 0)
    piece.write(b"ab")
    with pytest.raises(UploadConflict, match="Another request") as refused:
        uploads_in(tmp_path).open_piece(upload.upload_id, 0)
    assert refused.value.offset == 0
    piece.commit()
    piece.close()
    piece.close()
    assert append(uploads, upload.upload_id, 2, b"c") == 3


def test_more_bytes_than_announced_are_refused(tmp_path: Path) -> None:
    uploads, upload = begun(tmp_path)
    with pytest.raises(LimitExceeded):
        append(uploads, upload.upload_id, 0, b"abcdefg")
    assert uploads.find(upload.upload_id).offset == 0


def test_an_incomplete_upload_is_not_read(tmp_path: Path) -> None:
    uploads, upload = begun(tmp_path)
    append(uploads, upload.upload_id, 0, b"abc")
    with pytest.raises(UploadConflict) as refused:
        uploads.link(upload.upload_id, tmp_path / "view")
    assert refused.value.offset == 3
    assert not (tmp_path / "view").exists()


def test_a_finished_upload_gives_its_bytes_away_and_remembers_its_data_set(tmp_path: Path) -> None:
    uploads, upload = begun(tmp_path)
    append(uploads, upload.upload_id, 0, b"abcdef")
    uploads.finish(upload.upload_id, digest="d", dataset_id="0123")
    found = uploads.find(upload.upload_id)
    assert (found.offset, found.digest, found.dataset_id) == (6, "d", "0123")
    assert not (tmp_path / "partial" / upload.upload_id / "content").exists()
    with pytest.raises(NotFound):
        uploads.open_piece(upload.upload_id, 6)
    with pytest.raises(NotFound):
        uploads.link(upload.upload_id, tmp_path / "view")


@pytest.mark.parametrize("upload_id", ["", "0" * 32, "..", "a\0", "0" * 31 + "/", "あ" * 32])
def test_an_unknown_id_is_not_found(tmp_path: Path, upload_id: str) -> None:
    uploads, _ = begun(tmp_path)
    for call in (uploads.find, uploads.delete, lambda given: uploads.open_piece(given, 0)):
        with pytest.raises(NotFound):
            call(upload_id)


def test_a_deleted_upload_is_gone_also_for_the_request_that_writes_to_it(tmp_path: Path) -> None:
    uploads, upload = begun(tmp_path)
    piece = uploads.open_piece(upload.upload_id, 0)
    piece.write(b"abc")
    uploads.delete(upload.upload_id)
    with pytest.raises(NotFound):
        piece.commit()
    piece.close()
    assert list((tmp_path / "partial").iterdir()) == []


def test_an_upload_expires_a_day_after_its_last_piece(tmp_path: Path) -> None:
    uploads, upload = begun(tmp_path)
    leave(tmp_path, upload.upload_id, PARTIAL_SECONDS - 60)
    assert uploads.expire() == 0
    append(uploads, upload.upload_id, 0, b"abc")
    assert time.time() - uploads.find(upload.upload_id).used_at < 60
    leave(tmp_path, upload.upload_id, PARTIAL_SECONDS + 60)
    with pytest.raises(NotFound):
        uploads.find(upload.upload_id)
    (tmp_path / "partial" / ".left").mkdir()
    os.utime(tmp_path / "partial" / ".left", (0, 0))
    assert uploads.expire() == 2
    assert list((tmp_path / "partial").iterdir()) == []


def test_the_number_of_open_uploads_is_bounded_and_one_that_was_left_makes_way(tmp_path: Path) -> None:
    uploads = uploads_in(tmp_path)
    ids = [uploads.create(name="a", size_bytes=1, fingerprint=None).upload_id for _ in range(100)]
    with pytest.raises(BulkheadFull):
        uploads.create(name="a", size_bytes=1, fingerprint=None)
    leave(tmp_path, ids[7], 7200)
    uploads.create(name="a", size_bytes=1, fingerprint=None)
    with pytest.raises(NotFound):
        uploads.find(ids[7])
    # One that was read holds no bytes.
    append(uploads, ids[0], 0, b"x")
    uploads.finish(ids[0], digest="d", dataset_id="0")
    uploads.create(name="a", size_bytes=1, fingerprint=None)


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    _, upload = begun(tmp_path)
    for path in (tmp_path / "partial", *(tmp_path / "partial" / upload.upload_id).iterdir()):
        assert path.stat().st_mode & 0o077 == 0


def test_the_uploads_of_a_data_set_are_removed_with_their_names_and_no_others(tmp_path: Path) -> None:
    uploads, first = begun(tmp_path)
    ids = [first.upload_id, *(begun(tmp_path)[1].upload_id for _ in range(3))]
    for upload_id, digest, dataset_id in ((ids[0], "1", "d"), (ids[1], "2", "other"), (ids[2], "3", "another")):
        uploads.finish(upload_id, digest=digest, dataset_id=dataset_id)
    assert sorted(uploads.ids()) == sorted(ids)
    # By the data set, or by the digest of its file.
    assert sorted(uploads.remove_of("d", {"2"})) == sorted(ids[:2])
    assert sorted(uploads.ids()) == sorted(ids[2:])
    assert list(uploads.remove_of("d", {"2"})) == []


def test_an_upload_whose_keys_are_gone_hinders_no_other_and_expires(tmp_path: Path) -> None:
    other = PartialUploads(tmp_path / "partial", sealing_in(tmp_path / "other").of("default"))
    lost = other.create(name="b.csv", size_bytes=6, fingerprint=None).upload_id
    uploads, upload = begun(tmp_path)
    assert set(uploads.ids()) == {lost, upload.upload_id}
    assert append(uploads, upload.upload_id, 0, b"abcdef") == 6
    assert uploads.expire() == 0
    old = time.time() - PARTIAL_SECONDS - 1
    os.utime(tmp_path / "partial" / lost / "offset", (old, old))
    assert uploads.expire() == 1
    assert uploads.ids() == [upload.upload_id]
